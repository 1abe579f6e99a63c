"""Pictures of the intersection."""
