"""Environments the agent acts in, as TorchRL environments."""
