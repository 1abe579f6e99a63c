"""Partners that need no learning, and who sits where."""
