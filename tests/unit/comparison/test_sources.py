"""From what is named to runs: out of a real MLflow store and out of files."""

import math

import pytest
from mlflow import MlflowClient

from genreplay.common.errors import UserError
from genreplay.comparison import sources
from genreplay.comparison.runs import Metric, write_points
from genreplay.comparison.sources import read
from genreplay.envs.gymnasium.world import GymnasiumWorld
from genreplay.envs.overcooked.world import OvercookedWorld
from genreplay.envs.sumo.world import SumoWorld
from tests.helpers.comparisons import run, store, write_run
from tests.helpers.studies import write

PGR = {"generator.name": "edm", "relevance.name": "curiosity"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """One store for all tests, as a new one takes seconds; each has experiments of its own."""
    return store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def uri(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place)
    return place


@pytest.fixture
def name(request):
    """Of the test's experiment."""
    return request.node.name.partition("[")[0]


def arms(found):
    named: dict[str, list[int]] = {}
    for one in found.runs:
        named.setdefault(one.arm, []).append(one.seed)
    return named


def get(*items, metric=None, better=None, seeds=()):
    return read(items, metric, better, seeds, None)


def test_an_experiment_is_split_into_methods_and_environments(uri, name):
    for seed in (0, 1):
        write_run(uri, name, seed, [1.0, 2.0])
        write_run(uri, name, seed, [3.0, 4.0], params=PGR)
    write_run(uri, name, 7, [5.0], params={**PGR, "env.id": "Hopper-v5"})
    found = get(name)
    assert arms(found) == {"real only": [0, 1], "PGR": [7, 0, 1]}
    assert [one.world for one in found.runs if one.arm == "PGR"] == [
        "gymnasium Hopper-v5",
        *["gymnasium Pendulum-v1"] * 2,
    ]
    assert found.metric == Metric("return", "", False)
    assert found.notes == []
    assert arms(get(f"{name}:PGR")) == {"PGR": [7, 0, 1]}
    assert arms(get(f"mine={name}:PGR", f"{name}:real only", seeds=[1, 7])) == {"mine": [7, 1], "real only": [1]}


def test_what_a_run_was_at_each_evaluation(uri, name):
    write_run(uri, name, 0, [1.0, 2.0])
    (only,) = get(name).runs
    assert only.points == {10: (5.0, 40.0, 1.0), 20: (10.0, 80.0, 2.0)}


def test_of_a_repeated_evaluation_the_later_value_counts(uri, name):
    run_id = write_run(uri, name, 0, [1.0, 2.0])
    MlflowClient(uri).log_metric(run_id, "evaluation/return", 9.0, timestamp=9_000_000, step=10)
    assert [point.value for point in get(name).runs[0].points.values()] == [9.0, 2.0]


def test_tags_name_the_metric_its_unit_and_its_direction(uri, name):
    tags = {"primary_metric": "toll", "better": "lower", "metric_units": '{"toll": "EUR"}', "method": "mine"}
    write_run(uri, name, 0, [1.0], tags=tags, metric="toll")
    found = get(name)
    assert (found.metric, arms(found)) == (Metric("toll", "EUR", True), {"mine": [0]})


@pytest.mark.parametrize("world", [SumoWorld, OvercookedWorld, GymnasiumWorld])
def test_what_is_known_of_older_runs_agrees_with_the_environments(world):
    assert sources.PRIMARY[world.primary_metric] == (world.primary_unit, world.minimise)


def test_runs_by_id_and_by_name(uri, name):
    first = write_run(uri, name, 0, [1.0])
    write_run(uri, "other", 1, [2.0], tags={"name": "second"})
    assert arms(get(first, "b=second")) == {"real only": [0], "b": [1]}
    assert arms(get(first, "second")) == {"real only": [0, 1]}


def test_arms_of_two_experiments_stay_apart(uri):
    write_run(uri, "one", 0, [1.0])
    write_run(uri, "two", 0, [2.0])
    assert arms(get("one", "two")) == {"one: real only": [0], "two: real only": [0]}
    assert arms(get("a=one", "b=two")) == {"a": [0], "b": [0]}


def test_only_finished_runs_with_the_metric_count(uri, name):
    write_run(uri, name, 0, [1.0])
    write_run(uri, name, 1, [1.0], status="RUNNING")
    write_run(uri, name, 2, [1.0], status="FAILED")
    write_run(uri, name, 3, [1.0], metric="other")
    found = get(name, metric="return")
    assert arms(found) == {"real only": [0]}
    assert found.notes == [
        f"{name}: not finished, and left out: real only/1 (RUNNING), real only/2 (FAILED)",
        "without return, and left out: real only/3",
    ]


def test_equal_arm_and_seed_with_other_options_are_refused(uri, name):
    one = write_run(uri, name, 0, [1.0], params={"loop.utd_ratio": "1", "fabric.devices": "1"})
    two = write_run(uri, name, 0, [2.0], params={"loop.utd_ratio": "2", "fabric.devices": "2"}, start=2_000_000)
    with pytest.raises(UserError) as error:
        get(name)
    assert str(error.value) == (
        f"compare: the arm 'real only' has two runs of seed 0 ({one} and {two}), which differ in loop.utd_ratio; name "
        "arms by NAME=WHAT, or runs by their ids"
    )


def test_of_a_repeated_run_the_newer_one_counts(uri, name):
    one = write_run(uri, name, 0, [1.0])
    write_run(uri, name, 0, [2.0], start=2_000_000)
    found = get(name)
    assert [one.points[10].value for one in found.runs] == [2.0]
    assert found.notes == [f"real only/0: {one} was repeated with the same config; the newer run counts"]


def test_a_study_names_its_arms_metric_and_missing_cells(uri, tmp_path):
    for arm, seed in (("usual", 0), ("usual", 1), ("slow", 0), ("usual", 9), ("former", 0)):
        write_run(uri, "tiny", seed, [1.0], tags={"study": "tiny", "arm": arm, "seed": str(seed)})
    write_run(uri, "tiny", 5, [1.0])  # belongs to no study
    found = get(write(tmp_path))
    assert arms(found) == {"slow": [0], "usual": [0, 1]}
    assert found.notes == [
        "tiny: not in the study file, and left out: former/0, usual/9",
        "tiny: planned, but not there: slow/1",
    ]
    assert (found.plan.study, found.plan.first_start, found.metric.name) == ("tiny", 1000.0, "return")


def test_points_come_back_from_their_file(tmp_path):
    runs = [run("a,b", 0, [1.0, math.nan, 3.0], "x"), run('"q"', 2, [4.0])]
    metric = Metric("toll", "EUR", True)
    write_points(tmp_path / "curves.csv", runs, metric)
    found = get(f"{tmp_path}/curves.csv")
    assert found.metric == metric
    assert [str(one) for one in found.runs] == ["a,b/0", '"q"/2']
    assert list(found.runs[0].points) == [10, 20, 30]
    assert found.runs[0].points[30] == (15.0, 120.0, 3.0)
    assert arms(get(f"new={tmp_path}/curves.csv:a,b")) == {"new": [0]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"items": ["pendlum"]}, "compare: there is no study file 'pendlum', and {uri} has no experiment and no run of "
         "this name; did you mean pendulums?"),
        ({"items": ["empty"]}, "compare: no run of 'empty' is finished"),
        ({"items": ["x="]}, "x=: write WHAT or NAME=WHAT"),
        ({"items": ["x=pendulums"]}, "x=pendulums: holds several arms; choose one as WHAT:ARM of real only, PGR"),
        ({"items": ["pendulums:pgr"]}, "pendulums: has no arm 'pgr'; choose one of real only, PGR"),
        ({"items": ["none.csv"]}, "none.csv: there is no such file; write FILE.csv, FILE.csv:ARM or NAME=FILE.csv:ARM"),
        ({"items": ["broken.csv"]}, "broken.csv: has no column 'env_step'; compare writes files that do, named "
         "curves.csv"),
        ({"items": ["pendulums"], "metric": "retrun"}, "--metric retrun: no finished run of 'pendulums' has it; did "
         "you mean return? choose one of return"),
        ({"items": ["pendulums"], "seeds": [4]}, "--seeds: 'pendulums' has none of these seeds; it has 0"),
        ({"items": ["old.csv"]}, "--metric: is needed, such as --metric return (the runs do not say)"),
        ({"items": ["old.csv"], "metric": "x"}, "--metric x: say which values are better, with --better lower or "
         "--better higher"),
    ],
)  # fmt: skip
def test_mistakes(uri, tmp_path, arguments, message):
    client = MlflowClient(uri)
    if client.get_experiment_by_name("pendulums") is None:
        write_run(uri, "pendulums", 0, [1.0])
        write_run(uri, "pendulums", 0, [1.0], params=PGR, start=2_000_000)
        client.create_experiment("empty")
    (tmp_path / "broken.csv").write_text("arm,seed\na,0\n")
    (tmp_path / "old.csv").write_text("arm,seed,env_step,value\na,0,10,1\n")
    with pytest.raises(UserError) as error:
        read(**{"metric": None, "better": None, "seeds": [], "uri": None, **arguments})
    assert str(error.value) == message.format(uri=uri)


def test_a_store_without_runs_is_not_created(tmp_path):
    uri = f"sqlite:///{tmp_path}/none.db"
    with pytest.raises(UserError) as error:
        read(["real"], None, None, [], uri)
    assert str(error.value) == f"compare: there is no run in {uri} yet; name the store with --uri"
    assert not (tmp_path / "none.db").exists()
