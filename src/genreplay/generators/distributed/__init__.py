"""One generator on several ranks."""
