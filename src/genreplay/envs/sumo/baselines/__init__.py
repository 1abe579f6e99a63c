"""Controllers of a light that a learned policy is judged beside; `table` names them all."""
