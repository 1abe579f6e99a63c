"""Layers and scales that the generators share."""
