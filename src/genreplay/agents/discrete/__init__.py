"""REDQ-SAC with a categorical actor, for one player or two."""
