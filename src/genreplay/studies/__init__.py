"""Studies: arms times seeds, each cell an ordinary run, on one machine or on many."""
