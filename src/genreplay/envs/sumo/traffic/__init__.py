"""Demand: the vehicles of an episode."""
