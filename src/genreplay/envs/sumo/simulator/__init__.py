"""SUMO in a worker process."""
