"""One file for each sink: how the conformance suite makes it, reads back what arrived, and stops its backend."""
