"""Studies on clusters: Ray with a node that is lost, submitit's stand-in for SLURM with a preempted job."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.helpers.command_line import environment
from tests.helpers.mlflow_server import mlflow_server
from tests.helpers.studies import TINY, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is an extra")


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("server")) as uri:
        yield uri


def start(folder: Path, uri: str, **changes: object) -> subprocess.Popen[str]:
    write(folder, overrides=[*TINY, f"tracking.uri={uri}"], **changes)
    command = [sys.executable, "-m", "genreplay", "study", "tiny.yaml"]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env=environment())


def wait_for(what: Callable[[], bool]) -> None:
    for _ in range(3000):
        if what():
            return
        time.sleep(0.1)
    raise AssertionError("it never happened")


def log(folder: Path, study: str, cell: str) -> str:
    place = folder / f"mlruns/studies/{study}/{cell}.log"
    return place.read_text() if place.is_file() else ""


def assert_each_once(uri: str, study: str, seeds: list[int]) -> None:
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name(study).experiment_id])
    cells = [(run.data.tags["arm"], run.data.tags["seed"], run.info.status) for run in runs]
    assert sorted(cells) == [(arm, str(seed), "FINISHED") for arm in ("slow", "usual") for seed in seeds]
    for run in runs:
        assert {m.step for m in client.get_metric_history(run.info.run_id, "evaluation/return")} == {120, 240}


@needs("ray")
def test_a_ray_cluster_loses_a_node_and_the_study_goes_on(uri: str, tmp_path: Path) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 80_000_000}
    cluster = Cluster(True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small})
    try:
        nodes = [cluster.add_node(num_cpus=1, **small) for _ in range(2)]
        launcher = {"name": "ray", "address": cluster.address, "memory_gb": 0.5}
        study = start(tmp_path, uri, name="on_ray", launcher=launcher)
        wait_for(lambda: "env step 60 of" in log(tmp_path, "on_ray", "slow-0"))
        cluster.remove_node(nodes[0], allow_graceful=False)
        said = study.communicate()[1]
        assert study.returncode == 0, said
    finally:
        cluster.shutdown()
    assert "study on_ray: 4 cells: 4 finished" in said
    assert_each_once(uri, "on_ray", [0, 1])
    logs = [log(tmp_path, "on_ray", f"{arm}-{seed}") for arm in ("slow", "usual") for seed in (0, 1)]
    tries = [text.split("started on ")[1:] for text in logs]
    assert sorted(map(len, tries)) == [1, 1, 1, 2], "the lost node ran one cell"
    first, second = max(tries, key=len)
    if "env step 60 of" in first:
        assert "resumed at env step" in second


@needs("submitit")
def test_a_preempted_job_is_queued_again_and_goes_on(uri: str, tmp_path: Path) -> None:
    launcher = {"name": "slurm", "cluster": "local"}
    study = start(tmp_path, uri, name="on_slurm", launcher=launcher, seeds=[0])
    wait_for(lambda: "env step 60 of" in log(tmp_path, "on_slurm", "usual-0"))
    # The first line of the log names the process that submitit runs on the node: SLURM would send it this signal.
    worker = int(log(tmp_path, "on_slurm", "usual-0").splitlines()[0].rpartition(" ")[2])
    os.kill(worker, signal.SIGUSR2)
    said = study.communicate()[1]
    assert study.returncode == 0, said
    assert said.splitlines()[-1] == "study on_slurm: 2 cells: 2 finished"
    assert "stopped and saved at env step" in log(tmp_path, "on_slurm", "usual-0")
    assert "resumed at env step" in log(tmp_path, "on_slurm", "usual-0")
    assert_each_once(uri, "on_slurm", [0])
