"""Pure: from events to quantities."""
