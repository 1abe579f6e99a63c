"""Pictures of the kitchen."""
