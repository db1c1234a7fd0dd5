"""Events in PostgreSQL: by COPY into partitions by time, on any number of nodes."""
