"""Two cooks in one kitchen (Overcooked-AI)."""
