"""Generative models of transitions, as LightningModules."""
