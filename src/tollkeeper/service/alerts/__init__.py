"""Telling people what they should know: rules, channels, an outbox in the store, and what empties it."""
