"""Generators of categorical transitions."""
