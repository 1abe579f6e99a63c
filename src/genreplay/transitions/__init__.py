"""Transitions, their columns, and the codec between transitions and generator rows."""
