"""An ensemble of critics as one stacked module, and its update."""
