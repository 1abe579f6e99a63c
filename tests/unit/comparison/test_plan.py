"""When a plan was first committed, in a real git repository."""

import os
import subprocess
from datetime import UTC, datetime

import pytest

from genreplay.comparison.plan import plan_of
from genreplay.studies import study as studies
from tests.helpers.studies import tree, write

PLAN = tree()["plan"]
LATE = datetime(2026, 3, 1, tzinfo=UTC).timestamp()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    return tmp_path


def git(*arguments: str, day: int = 1) -> str:
    when = f"2026-02-{day:02d}T12:00:00+00:00"
    names = {f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = os.environ | names | {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    return subprocess.run(["git", *arguments], env=env, check=True, capture_output=True, text=True).stdout.strip()


def commit(day: int) -> str:
    git("add", "-A")
    git("commit", "-q", "-m", "x", day=day)
    return git("rev-parse", "HEAD")


def plan(path="tiny.yaml", start=LATE):
    return plan_of(studies.load(path), start)


def test_the_first_commit_of_the_present_plan_counts(folder):
    write(folder, plan=PLAN | {"measure": "end"})
    commit(1)
    write(folder)
    sha = commit(2)
    write(folder, retries=7)  # no part of the plan
    commit(3)
    (folder / "sub").mkdir()
    git("mv", "tiny.yaml", "sub/tiny.yaml")
    commit(4)
    found = plan("sub/tiny.yaml")
    assert (found.commit.sha, found.commit.path, found.is_registered) == (sha, "tiny.yaml", True)
    assert found.registration() == (
        f"pre-registered: first committed 2026-02-02 12:00 UTC in {sha[:12]}, before the first run began (2026-03-01 "
        "00:00 UTC)"
    )
    assert found.sentence() == "area of return; 2 seeds; expected to be lower than usual"


def test_a_plan_after_the_first_run_is_no_registration(folder):
    write(folder)
    sha = commit(2)
    found = plan(start=datetime(2026, 2, 1, tzinfo=UTC).timestamp())
    assert not found.is_registered
    assert found.registration() == (
        f"not pre-registered: first committed 2026-02-02 12:00 UTC in {sha[:12]}, after the first run had begun "
        "(2026-02-01 00:00 UTC)"
    )


@pytest.mark.parametrize("changed", [{"plan": PLAN | {"expected": "higher"}}, {"seeds": [0, 1, 2]}])
def test_a_plan_that_was_changed_since_is_not_committed(folder, changed):
    write(folder)
    commit(2)
    write(folder, **changed)
    found = plan()
    assert (found.commit, found.is_registered) == (None, False)
    assert found.registration() == (
        "not pre-registered: the study file with this plan is not committed to a git repository"
    )


def test_without_a_repository_nothing_is_registered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    write(tmp_path)
    assert plan().commit is None
