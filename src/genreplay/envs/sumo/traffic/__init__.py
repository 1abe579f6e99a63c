"""Demand: what an episode lets into the network."""
