"""SUMO itself, in a process of its own."""
