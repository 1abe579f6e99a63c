"""Generative experience replay for online reinforcement learning."""

__version__ = "0.1.0"
