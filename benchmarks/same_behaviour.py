"""Does a change of the code change what the program computes? Fixed-seed runs, compared to the last digit.

    python benchmarks/same_behaviour.py write before.json      # at the old commit
    python benchmarks/same_behaviour.py compare before.json    # at the new one

Each case trains a shipped configuration for a short while on one thread and reads back every metric that MLflow has of
it, apart from times. The smoke run's policy is then evaluated and exported. `compare` prints a line for each case, and
exits with 1 where anything differs. All cases take some six minutes on two cores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FITS = {
    "smoke": ("smoke", []),
    "pendulum": ("pendulum_pgr", ["loop.num_env_steps=1500"]),
    "sumo": ("sumo_pgr", ["loop.num_env_steps=1000"]),
    "overcooked": ("overcooked_pgr", ["loop.num_env_steps=2000", "loop.first_refit_env_step=1000"]),
    "overcooked_partner": ("overcooked/greedy_pgr", ["loop.num_env_steps=1500", "loop.first_refit_env_step=1000"]),
    "overcooked_factorised": ("overcooked/factorised", ["loop.num_env_steps=1500", "loop.first_refit_env_step=1000"]),
    "overcooked_edm": ("overcooked/edm", ["loop.num_env_steps=1500", "loop.first_refit_env_step=1000"]),
}
"""Case: configuration, and overrides that make it short."""


def genreplay(*arguments: str, folder: Path) -> None:
    """Run a command on one thread in `folder`; its output is shown where it fails."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    env.pop("MLFLOW_TRACKING_URI", None)
    done = subprocess.run(
        [sys.executable, "-m", "genreplay", *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"genreplay {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")


def metrics(folder: Path) -> dict[str, list[list[float]]]:
    """Every metric of the only run in the store: its `[env step, value]` pairs, without times."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    return {
        name: [[point.step, point.value] for point in client.get_metric_history(run.info.run_id, name)]
        for name in sorted(run.data.metrics)
        if not name.startswith("speed/") and name != "generator/seconds"
    }


def fit(case: str, folder: Path) -> dict[str, Any]:
    """Train the configuration of `case`."""
    name, overrides = FITS[case]
    folder.mkdir()
    genreplay("fit", "--config", str(ROOT / f"conf/{name}.yaml"), *overrides, folder=folder)
    return metrics(folder)


def evaluate(folder: Path) -> dict[str, Any]:
    """The episodes of the run's policy and of two baselines, as `genreplay evaluate` writes them."""
    chosen = ["--demand", "1000,tidal", "--seeds", "101-102", "--baselines", "fixed_plan,max_pressure"]
    genreplay("evaluate", "--run", "last", *chosen, "--output", "evaluation", folder=folder)
    return {path.name: path.read_text() for path in sorted((folder / "evaluation").glob("*.csv"))}


def export(folder: Path) -> dict[str, Any]:
    """The exported card, and a digest of the exported weights."""
    import onnx

    genreplay("export", "--run", "last", folder=folder)
    model = onnx.load(folder / "export" / "policy.onnx")
    weights = sorted(onnx.numpy_helper.to_array(tensor).tobytes() for tensor in model.graph.initializer)
    card = json.loads((folder / "export" / "policy.json").read_text())
    card["checkpoint"].pop("run_id")
    return {"card": card, "weights": hashlib.sha256(b"".join(weights)).hexdigest()}


def measure(cases: list[str], folder: Path) -> dict[str, Any]:
    """The figures of every case, two cases at a time."""
    with ThreadPoolExecutor(2) as pool:
        done = dict(zip(cases, pool.map(lambda case: fit(case, folder / case), cases), strict=True))
    if "smoke" in done:
        done["evaluate"], done["export"] = evaluate(folder / "smoke"), export(folder / "smoke")
    return done


def differences(before: Any, after: Any, path: str = "") -> list[str]:
    """Where two trees of plain values differ, a line each."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted(before.keys() | after.keys())
        return [line for k in keys for line in differences(before.get(k), after.get(k), f"{path}/{k}")]
    same = repr(before) == repr(after)
    return [] if same else [f"{path}: {str(before)[:100]} -> {str(after)[:100]}"]


def main() -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["write", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--cases", nargs="+", choices=list(FITS), default=list(FITS), metavar="CASE")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(chosen.cases, Path(folder))
    if chosen.action == "write":
        chosen.file.write_text(json.dumps(figures, indent=1))
        return 0
    before = json.loads(chosen.file.read_text())
    after = json.loads(json.dumps(figures))
    found = {case: differences(before[case], after[case]) for case in after}
    for case, lines in found.items():
        print(f"{case}: {'the same' if not lines else f'{len(lines)} differences'}", *lines[:20], sep="\n  ")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main())
