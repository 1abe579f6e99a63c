"""Traffic-signal control in SUMO, on sumo-rl."""
