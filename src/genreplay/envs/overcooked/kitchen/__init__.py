"""The kitchen: its map, its states and its rules."""
