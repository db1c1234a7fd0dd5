"""The wire contract: what happened, and how it is written down."""
