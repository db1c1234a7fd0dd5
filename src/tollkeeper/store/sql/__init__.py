"""What the event stores in SQL share: rows, numbers of dimensions, books, and usage from roll-ups and events."""
