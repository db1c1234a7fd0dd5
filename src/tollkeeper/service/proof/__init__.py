"""The proof of a month: what became of each event, and that each invoice follows from its events."""
