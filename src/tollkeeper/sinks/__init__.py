"""Where captured events go: one port, and one file for each kind of destination."""
