"""Pure: what a quantity costs, one price model a file."""
