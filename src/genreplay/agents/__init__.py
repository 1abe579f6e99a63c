"""Agents as LightningModules."""
