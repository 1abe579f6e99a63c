"""Worlds: what the agent acts in, as TorchRL environments."""
