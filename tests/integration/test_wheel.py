"""The wheel in a fresh environment: it brings everything that a run needs, configurations and policies too."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from genreplay.runs import published
from tests.helpers.paths import REPOSITORY

SHORT = ["loop.num_env_steps=80", "loop.warmup_env_steps=20", "loop.first_refit_env_step=40", "evaluation.seeds=[1]"]


def run(folder, *command):
    """A process that knows nothing of this checkout; its output."""
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MLFLOW_TRACKING_URI")}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """The Python of an environment with the wheel, whose dependencies are those of the running one."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy, as setuptools would leave a folder build/ behind
    for name in ("src", "conf"):
        shutil.copytree(REPOSITORY / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    pip = [sys.executable, "-m", "pip"]
    offline = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    run(folder, *pip, "wheel", *offline, "--wheel-dir", "dist", str(source))
    venv.create(folder / "env", symlinks=True)
    python = folder / "env/bin/python"
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    # Files ending on .pth are read in an environment's own folder alone: the checkout's editable install stays out.
    site.joinpath("dependencies.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))
    run(folder, *pip, "--python", str(python), "install", *offline, *map(str, (folder / "dist").glob("*.whl")))
    return python


@pytest.mark.slow
def test_the_wheel_runs_a_shipped_configuration_by_name(fresh, tmp_path):
    where = Path(run(tmp_path, fresh, "-c", "import genreplay; print(genreplay.__file__)").strip())
    assert where.is_relative_to(fresh.parents[1])
    assert where.with_name("py.typed").exists(), "type checkers read the package's own types"
    run(tmp_path, fresh.with_name("genreplay"), "fit", "--config", "smoke", *SHORT)
    assert (tmp_path / "mlruns/mlflow.db").exists()
    assert run(tmp_path, fresh.with_name("genreplay"), "config", "--config", "overcooked/edm").startswith("seed: 0\n")
    listed = run(tmp_path, fresh.with_name("genreplay"), "policies").splitlines()[1:]
    assert [line.split()[0] for line in listed] == published.names()
    export = ["export", "--checkpoint", "cramped_room"]
    assert "the policy of the published folder " in run(tmp_path, fresh.with_name("genreplay"), *export)
