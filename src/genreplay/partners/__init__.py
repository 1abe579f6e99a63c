"""Learned partners in Overcooked: the one place where env, agent and generator meet outside training."""
