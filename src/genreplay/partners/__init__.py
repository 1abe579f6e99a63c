"""Learned partners in Overcooked. Environment, agent and generator meet here, outside training."""
