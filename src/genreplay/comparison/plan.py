"""The plan of a study, and when it was first committed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from genreplay.studies.config import PlanConfig
from genreplay.studies.study import Study

PLANNED = ("plan", "seeds")
"""Keys of the study file that make the plan. The names of the arms belong to it too."""


class Commit(NamedTuple):
    """A commit of the study file."""

    sha: str
    time: datetime
    path: str
    """Of the file then, relative to the repository."""


@dataclass(frozen=True)
class Plan:
    """What a study was to report."""

    study: str
    config: PlanConfig
    seeds: list[int]
    arms: list[str]
    commit: Commit | None
    """The first one with this plan; None where it is not committed."""
    first_start: float | None
    """Unix time at which the first run began, s; None where none did."""

    @property
    def is_registered(self) -> bool:
        """Whether it was committed before the first run started."""
        commit = self.commit
        return commit is not None and (self.first_start is None or commit.time.timestamp() < self.first_start)

    def registration(self) -> str:
        """One sentence on when it was committed."""
        if self.commit is None:
            return "not pre-registered: the study file with this plan is not committed to a git repository"
        when = f"first committed {moment(self.commit.time)} in {self.commit.sha[:12]}"
        if self.first_start is None:
            return when
        began = moment(datetime.fromtimestamp(self.first_start, UTC))
        if self.is_registered:
            return f"pre-registered: {when}, before the first run began ({began})"
        return f"not pre-registered: {when}, after the first run had begun ({began})"

    def sentence(self) -> str:
        """What it states."""
        plan = self.config
        end = "" if plan.until_env_step is None else f" to {plan.until_env_step}"
        window = f" from env step {plan.since_env_step}{end}" if plan.since_env_step or end else ""
        threshold = "" if plan.threshold is None else f" {plan.threshold:g}"
        return (
            f"{plan.measure.replace('_', ' ')}{threshold} of {plan.metric}{window}; {len(self.seeds)} seeds; expected "
            f"to be {plan.expected} than {plan.baseline}"
        )


def plan_of(study: Study, first_start: float | None) -> Plan:
    """The plan of a study whose first run began at the Unix time `first_start`, s."""
    config = study.config
    return Plan(study.name, config.plan, config.seeds, list(config.arms), first_commit(study.path), first_start)


def moment(when: datetime) -> str:
    """Date and time, UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def first_commit(path: str) -> Commit | None:
    """The commit since which the file, under whatever name, has stated its present plan; None where none does."""
    file = Path(path).resolve()
    planned = _planned(file.read_text(encoding="utf-8"))
    first = None
    for commit in _history(file):
        text = _git(file.parent, "show", f"{commit.sha}:{commit.path}")
        if text is None or _planned(text) != planned:
            break
        first = commit
    return first


def _history(file: Path) -> Iterator[Commit]:
    """Its commits, the newest first."""
    told = _git(file.parent, "log", "--follow", "--format=%x00%H %cI", "--name-only", "--", file.name) or ""
    for entry in told.split("\0")[1:]:
        head, *names = [line for line in entry.splitlines() if line]
        sha, _, time = head.partition(" ")
        if names:
            yield Commit(sha, datetime.fromisoformat(time), names[0])


def _planned(text: str) -> Any:
    try:
        tree = yaml.safe_load(text)
        return [*(tree[key] for key in PLANNED), sorted(tree["arms"])]
    except (yaml.YAMLError, KeyError, TypeError):
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of a git command; None where it fails, or there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", "-c", "core.quotepath=off", *arguments],
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
