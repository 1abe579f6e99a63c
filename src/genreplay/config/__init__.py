"""Configuration: the schema of an experiment, and the reader of YAML files and overrides."""

from genreplay.config.reader import from_tree, from_yaml, load, to_yaml

__all__ = ["from_tree", "from_yaml", "load", "to_yaml"]
