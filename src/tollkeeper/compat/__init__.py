"""The names of the libraries that Tollkeeper replaces: a user changes the import line, and nothing else."""
