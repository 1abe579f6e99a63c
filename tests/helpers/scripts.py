"""Scripts of benchmarks/, which is no package, as modules to test."""

import importlib
import sys

from tests.helpers.paths import REPOSITORY

BENCHMARKS = REPOSITORY / "benchmarks"


def load(name: str):
    """The module `name` of benchmarks/, which may import others of that folder."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCHMARKS))
