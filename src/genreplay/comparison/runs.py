"""The runs that are compared, and their points as a CSV file that can be compared again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from genreplay.common.errors import UserError
from genreplay.common.files import read_csv, write_csv
from genreplay.runs.curves import NAN, CurvePoint

IGNORED = ("seed", "tracking.", "fabric.", "launcher.")
"""Options, or their sections, that may differ between the runs of one arm."""
PRIMARY = {"delay": ("s", True), "return": ("", False), "sparse_return": ("", False)}
"""Unit of the shipped primary metrics, and whether lower is better: for runs and files that do not say."""
NUM_LISTED = 6


class Metric(NamedTuple):
    """What is compared."""

    name: str
    unit: str
    minimise: bool
    """True where lower is better."""


@dataclass
class ComparedRun:
    """One run: an arm with one seed in one environment."""

    arm: str
    world: str
    """Empty where it is not known."""
    seed: int
    points: Mapping[int, CurvePoint]
    """By env step, in order."""
    run_id: str = ""
    """Empty where it came from a file."""
    name: str = ""
    start: float = NAN
    """Unix time, s."""
    params: Mapping[str, str] = field(default_factory=dict)
    """Its config, flat."""
    incumbent: float = NAN
    """The incumbent controller's metric on the same episodes; NaN where there is none."""

    def __str__(self) -> str:
        return f"{self.arm}/{self.seed}"


def differing(runs: Iterable[ComparedRun]) -> list[str]:
    """Options in which runs differ, apart from `IGNORED`; of runs from files none is known."""
    known = [run.params for run in runs if run.params]
    keys = dict.fromkeys(key for params in known for key in params)
    return [
        key
        for key in keys
        if len({params.get(key) for params in known}) > 1
        and not any(key == prefix or (prefix.endswith(".") and key.startswith(prefix)) for prefix in IGNORED)
    ]


def listed(names: Iterable[str], num: int = NUM_LISTED) -> str:
    """The names behind each other; of many the first ones."""
    names = list(names)
    rest = f" and {len(names) - num} more" if len(names) > num else ""
    return ", ".join(names[:num]) + rest


def without_repeats(runs: Iterable[ComparedRun]) -> tuple[list[ComparedRun], list[str]]:
    """One run for each arm, environment and seed; notes on those left out.

    Raises:
        UserError: two of them have different configs.
    """
    found: dict[tuple[str, str, int], ComparedRun] = {}
    notes = []
    for run in sorted(runs, key=lambda run: run.start if run.run_id else 0.0):
        key = run.arm, run.world, run.seed
        other = found.get(key)
        if other is not None:
            keys = differing([other, run])
            if keys or not run.run_id or not other.run_id:
                names = " and ".join(one.run_id or "one from a file" for one in (other, run))
                told = f"differ in {listed(keys)}" if keys else "may differ in anything"
                raise UserError(
                    f"compare: the arm {run.arm!r} has two runs of seed {run.seed} ({names}), which {told}; name arms "
                    "by NAME=WHAT, or runs by their ids"
                )
            notes.append(f"{run}: {other.run_id} was repeated with the same config; the newer run counts")
        found[key] = run
    return list(found.values()), notes


# Files ---------------------------------------------------------------------------------------------------------------

COLUMNS = ("arm", "world", "seed", "env_step", "seconds", "gradient_steps", "value")


def write_points(path: Path, runs: Iterable[ComparedRun], metric: Metric) -> None:
    """Write every point of every run, with the metric."""
    about = {"metric": metric.name, "unit": metric.unit, "better": "lower" if metric.minimise else "higher"}
    rows = []
    for run in runs:
        for step, point in run.points.items():
            values = (run.arm, run.world, run.seed, step, *("" if value != value else value for value in point))
            row = dict(zip(COLUMNS, values, strict=True))
            rows.append(row | about | {"incumbent": "" if run.incumbent != run.incumbent else run.incumbent})
    write_csv(path, rows)


def read_points(path: Path) -> tuple[list[ComparedRun], Metric | None]:
    """The runs of a file that `write_points` wrote, or of an earlier `arms.csv`; the metric where it says so.

    Raises:
        UserError: there is no such file, or it lacks a column.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; write FILE.csv, FILE.csv:ARM or NAME=FILE.csv:ARM")
    rows = read_csv(path)
    for column in ("seed", "env_step", "value"):
        if not rows or column not in rows[0]:
            raise UserError(f"{path}: has no column {column!r}; compare writes files that do, named curves.csv")
    found: dict[tuple[str, str, int], dict[int, CurvePoint]] = {}
    incumbents: dict[tuple[str, str, int], float] = {}
    for row in rows:
        key = row.get("arm", path.stem), row.get("world", ""), int(row["seed"])
        point = CurvePoint(*(float(row.get(name) or "nan") for name in COLUMNS[4:]))
        found.setdefault(key, {})[int(row["env_step"])] = point
        incumbents[key] = float(row.get("incumbent") or "nan")
    runs = [ComparedRun(*key, points=points, incumbent=incumbents[key]) for key, points in found.items()]
    first = rows[0]
    known = Metric(first["metric"], first["unit"], first["better"] == "lower") if "metric" in first else None
    return runs, known
