"""Measures Tollkeeper beside its limits and its peers, in the same run."""
