"""The event store on one SQLite file: WAL, durable commits, readers that never wait."""
