"""What a controller sees of the traffic: everything, video zones or induction loops."""
