"""Controllers of a light to compare a learned policy with; `table` lists them."""
