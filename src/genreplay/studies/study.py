"""A study file, read and checked: its cells and where they leave their traces."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from genreplay import config
from genreplay.common.errors import UserError
from genreplay.config import shipped
from genreplay.config.reader import groups_of
from genreplay.config.schema import ExperimentConfig
from genreplay.config.strict import Schema, resolve
from genreplay.runs import store
from genreplay.studies.config import ArmConfig, StudyConfig

STUDY = Schema(StudyConfig, {"launcher": "local"})


class Cell(NamedTuple):
    """One arm with one training seed."""

    arm: str
    seed: int

    def __str__(self) -> str:
        return f"{self.arm}/{self.seed}"


@dataclass(frozen=True)
class Study:
    """A study that can run."""

    path: str
    """Its file."""
    overrides: tuple[str, ...]
    """Of its file, from the command line."""
    config: StudyConfig
    experiments: dict[Cell, ExperimentConfig]
    """The whole config of each cell, in the order in which they start: every arm's first seed first."""

    @property
    def name(self) -> str:
        """Its name in MLflow."""
        return self.config.name

    @property
    def uri(self) -> str:
        """Of the store that all cells share."""
        return store.store_uri(next(iter(self.experiments.values())).tracking.uri)

    @property
    def experiment(self) -> str:
        """MLflow experiment of all cells."""
        return next(iter(self.experiments.values())).tracking.experiment

    @property
    def folder(self) -> Path:
        """Where cells leave their logs and locks."""
        return (store.local_root(self.uri) or store.LOCAL_FOLDER) / "studies" / self.name

    def log(self, cell: Cell) -> Path:
        """What the cell's process printed, all tries together."""
        return self.folder / f"{cell.arm}-{cell.seed}.log"

    def cell(self, text: str) -> Cell:
        """The cell `ARM/SEED`; UserError where there is none."""
        cells = {str(cell): cell for cell in self.experiments}
        if text not in cells:
            raise UserError(f"--cell {text}: the study {self.name} has no such cell; write one of {', '.join(cells)}")
        return cells[text]


def load(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Study:
    """The study in a file, or of a shipped name, with `key=value` overrides of its own options on top.

    Raises:
        UserError: anything is wrong with the file, an override or an arm's config.
    """
    missing = shipped.missing_study(os.fspath(path))
    place = shipped.find_study(os.fspath(path))
    study: StudyConfig = resolve(STUDY, groups_of(place, overrides, missing), place).config
    experiments = {name: _experiment(place, study, name, arm) for name, arm in study.arms.items()}
    _check_one_store(place, experiments, study)
    cells = {
        Cell(name, seed): _of_seed(study.name, experiment, name, seed)
        for seed in study.seeds
        for name, experiment in experiments.items()
    }
    return Study(place, tuple(overrides), study, cells)


def _experiment(path: str, study: StudyConfig, name: str, arm: ArmConfig) -> ExperimentConfig:
    for override in (*study.overrides, *arm.overrides):
        if override.partition("=")[0].strip() == "seed":
            raise UserError(f"{path}: arms.{name}: {override} would give all runs one seed; list the seeds in seeds:")
    beside = os.path.normpath(os.path.join(os.path.dirname(path), arm.config))
    overrides = [f"tracking.experiment={study.name}", *study.overrides, *arm.overrides]
    try:
        return config.load(beside if os.path.isfile(beside) else arm.config, overrides)
    except UserError as error:
        raise UserError(f"{path}: arms.{name}: {error}") from None


def _check_one_store(path: str, experiments: dict[str, ExperimentConfig], study: StudyConfig) -> None:
    for key in ("uri", "experiment"):
        values = {name: getattr(experiment.tracking, key) for name, experiment in experiments.items()}
        if len(set(values.values())) > 1:
            told = ", ".join(f"{name}: {value}" for name, value in values.items())
            raise UserError(
                f"{path}: arms: all must have the same tracking.{key}, not {told}; set it in the study's overrides"
            )
    uri = store.store_uri(next(iter(experiments.values())).tracking.uri)
    if study.launcher.SEVERAL_MACHINES and uri.startswith(store.SQLITE):
        raise UserError(
            f"{path}: tracking.uri: {uri} is a file of one machine, and launcher {study.launcher.name} runs cells on "
            "several; name an MLflow server that all of them reach, such as http://host:5000 (docs/studies.md)"
        )


def _of_seed(study: str, experiment: ExperimentConfig, arm: str, seed: int) -> ExperimentConfig:
    tags = experiment.tracking.tags | {"study": study, "arm": arm, "seed": str(seed)}
    return replace(
        experiment, seed=seed, tracking=replace(experiment.tracking, run_name=f"{arm}-seed{seed}", tags=tags)
    )
