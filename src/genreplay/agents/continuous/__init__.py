"""REDQ-SAC with a Gaussian actor."""
