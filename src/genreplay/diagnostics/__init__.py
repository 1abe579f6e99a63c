"""How good synthetic transitions are, compared with real ones."""
