"""Scripts of benchmarks/ and results/, which are no package, as modules to test."""

import importlib
import sys

from tests.helpers.paths import REPOSITORY


def load(folder: str, name: str):
    """`folder/name.py`; what it imports from its folder is forgotten again, so that no test finds another's."""
    place, before = REPOSITORY / folder, set(sys.modules)
    sys.path.insert(0, str(place))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(place))
        for new in set(sys.modules) - before:
            if (place / f"{new}.py").exists():
                del sys.modules[new]
