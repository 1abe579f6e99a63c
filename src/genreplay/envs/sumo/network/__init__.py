"""The road network and the signals of its intersection."""
