"""What is counted by a name: tags, their uses, and the history of these."""
