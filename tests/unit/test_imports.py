"""Who imports whom: leaf packages stay leaves, and what answers at once stays light."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import genreplay

ROOT = Path(genreplay.__file__).parent
GROUND = ["common", "transitions"]
CONFIGURATION = [*GROUND, "config", "registry"]
PARTS = ["agents", "envs", "generators", "relevance"]
ASSEMBLED = [*CONFIGURATION, *PARTS, "build"]
ROOMS = {
    "common": [],
    "transitions": ["common"],
    "relevance": GROUND,
    "envs": GROUND,
    "agents": GROUND,
    "generators": GROUND,
    "diagnostics": GROUND,
    "registry": ["common"],
    "config": ["common", "registry"],
    "build": [*CONFIGURATION, *PARTS],
    "replay": [*CONFIGURATION, *PARTS],
    "evaluation": [*GROUND, "envs"],
    "runs": ASSEMBLED,
    "partners": [*ASSEMBLED, "runs", "evaluation"],
    "reporting": [*ASSEMBLED, "diagnostics", "evaluation", "runs"],
    "studies": [*CONFIGURATION, "runs"],
    "comparison": [*CONFIGURATION, "reporting", "runs", "studies"],
    "training": [*ASSEMBLED, "diagnostics", "evaluation", "replay", "reporting", "runs"],
    "api": [*ASSEMBLED, "evaluation", "replay", "runs", "training"],
    "commands": [
        *ASSEMBLED,
        "comparison",
        "diagnostics",
        "evaluation",
        "partners",
        "replay",
        "reporting",
        "runs",
        "studies",
        "training",
    ],
    "cli": ["commands", "common"],
    "__main__": ["cli"],
    "__init__": ["api"],
}
"""Which rooms and modules of the package a room may import, beside itself."""
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


def _room(parts: tuple[str, ...]) -> str:
    return parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_what_the_table_allows(path: Path) -> None:
    room = _room(path.relative_to(ROOT).parts)
    names = {name.split(".")[1] for name in _imported(path) if name.startswith("genreplay.")} - {"__version__"}
    assert names <= {room, *ROOMS[room]}


def test_the_table_has_no_cycles() -> None:
    # Raises CycleError where there is one.
    assert set(TopologicalSorter(ROOMS).static_order()) == set(ROOMS)


def test_one_environment_does_not_import_another() -> None:
    for world in (path for path in (ROOT / "envs").iterdir() if path.is_dir()):
        others = {path.name for path in (ROOT / "envs").iterdir() if path.is_dir()} - {world.name}
        for path in world.rglob("*.py"):
            places = {name.split(".")[2] for name in _imported(path) if name.startswith("genreplay.envs.")}
            assert not places & others, path


def test_pictures_are_imported_only_where_they_are_drawn() -> None:
    """Whoever builds an environment does not load what draws it."""
    for path in (ROOT / "envs").rglob("*.py"):
        if "pictures" not in path.parts:
            tree = ast.parse(path.read_text())
            names = {node.module for node in tree.body if isinstance(node, ast.ImportFrom) and node.module}
            assert not any(".pictures" in name for name in names), path


def test_only_the_store_and_the_tracker_import_mlflow() -> None:
    importers = {
        str(path.relative_to(ROOT))
        for path in ALL_FILES
        if any(name.split(".")[0] == "mlflow" for name in _imported(path))
    }
    assert importers == {"runs/store.py", "runs/tracker.py"}


@pytest.mark.parametrize(("package", "module"), [("submitit", "slurm"), ("ray", "ray")])
def test_a_launchers_package_is_known_to_it_alone(package: str, module: str) -> None:
    importers = {
        str(path.relative_to(ROOT))
        for path in ALL_FILES
        if any(name.split(".")[0] == package for name in _imported(path))
    }
    assert importers == {f"studies/launchers/{module}.py"}


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


def test_a_policy_loads_without_the_loop_and_the_tracker():
    program = (
        "import sys, genreplay.runs.policy\n"
        "unwanted = tuple(f'genreplay.{room}' for room in ('training', 'replay', 'reporting', 'diagnostics'))\n"
        "print([name for name in sys.modules if name.startswith(unwanted)])\n"
        "print('mlflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n") == ["[]", "False", ""], done.stderr


def test_nothing_of_a_file_is_executed() -> None:
    """Ruff refuses exec, pickles, eval, YAML objects and shells (its rules S102 to S605). These are left."""
    for path in ROOT.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "torch.load(" not in text, path
        assert "extractall(" not in text, path
        assert "allow_pickle=True" not in text, path
