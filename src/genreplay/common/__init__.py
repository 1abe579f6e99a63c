"""Utilities of every package, without knowledge of learning: errors, seeds, precision, compilation, progress."""
