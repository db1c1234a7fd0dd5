"""The relational catalogue: credentials and what is sold to whom, on SQLite, on PostgreSQL and in memory."""
