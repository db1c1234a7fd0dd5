"""Share a folder among processes, each of which claims a part of it for as long as it lives."""
