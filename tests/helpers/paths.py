"""Where the repository and its configurations are."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
CONF = REPOSITORY / "conf"
DATA = REPOSITORY / "tests/data"
"""Small maps, routes and counts."""
