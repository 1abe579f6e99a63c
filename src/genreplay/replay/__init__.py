"""Where transitions are collected, stored and mixed, and where synthetic ones come from."""
