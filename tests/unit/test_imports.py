"""Who imports whom: leaf packages stay leaves, and what answers at once stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import genreplay

ROOT = Path(genreplay.__file__).parent
LEAVES = ("envs", "agents", "generators", "relevance")
SHARED = {"common", "transition", "transitions"}
"""What a leaf package may import of genreplay beside itself."""
HEAVY = (
    "torch",
    "torchrl",
    "tensordict",
    "lightning",
    "mlflow",
    "sumo_rl",
    "libsumo",
    "traci",
    "matplotlib",
    "gymnasium",
    "pandas",
    "numpy",
    "rich",
)

LEAF_FILES = sorted(path for leaf in LEAVES for path in (ROOT / leaf).rglob("*.py"))
ALL_FILES = sorted(ROOT.rglob("*.py"))
LIGHT_MODULES = [
    "genreplay",
    "genreplay.cli",
    "genreplay.config.reader",
    "genreplay.common.errors",
    "genreplay.registry",
    "genreplay.runs.find",
    "genreplay.config.schema",
    "genreplay.runs.store",
]
LIGHT_MODULES += [".".join(("genreplay", *path.parent.relative_to(ROOT).parts)) for path in ROOT.rglob("*/__init__.py")]
LIGHT_MODULES += [
    ".".join(("genreplay", *path.with_suffix("").relative_to(ROOT).parts)) for path in ROOT.rglob("*/config.py")
]


def _imported(path: Path) -> set[str]:
    """Modules that a file imports anywhere, by their whole names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide who imports whom"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", LEAF_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_leaf_packages_import_only_themselves_and_what_all_share(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0]
    ours = {name.split(".")[1] for name in _imported(path) if name.startswith("genreplay.")}
    assert ours <= SHARED | {own}


def test_only_tracking_imports_mlflow() -> None:
    importers = {
        str(path.relative_to(ROOT))
        for path in ALL_FILES
        if any(name.split(".")[0] == "mlflow" for name in _imported(path))
    }
    assert importers == {"runs/store.py", "runs/tracker.py"}


def test_nothing_imports_pickle() -> None:
    unsafe = {"pickle", "cloudpickle", "dill", "joblib"}
    for path in ALL_FILES:
        assert not unsafe & {name.split(".")[0] for name in _imported(path)}, path


def test_light_modules_load_nothing_heavy() -> None:
    """One fresh interpreter for all of them: what loads with the first would load with any."""
    program = (
        f"import importlib, sys\nfor name in {LIGHT_MODULES!r}: importlib.import_module(name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
