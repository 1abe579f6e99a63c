"""What every room may use, and nothing about learning: errors, seeds, precision, compilation, progress."""
