"""Publishing: the folder is whole, acts as the checkpoint, and says nothing of this machine."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import yaml

from genreplay import cli
from genreplay.config.schema import TrackingConfig
from genreplay.reporting.policy_card import table
from genreplay.reporting.publish import public_command
from genreplay.runs import published
from genreplay.runs.policy import load_policy
from genreplay.runs.tracker import Tracker
from tests.helpers.saved import save_untrained

PENDULUM = """
env: {name: gymnasium, id: Pendulum-v1, max_episode_steps: 5}
agent: {name: redq_sac, hidden_width: 8}
tracking: {uri: "URI", tags: {note: secret}}
seed: 3
"""
OBSERVATIONS = torch.linspace(-1, 1, 30).reshape(10, 3)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run `one` in a store of its own, and its evaluation."""
    folder = tmp_path_factory.mktemp("publish")
    uri = f"sqlite:///{folder}/mlruns/mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with Tracker.start(TrackingConfig(uri=uri, run_name="one"), "seed: 3\n") as tracker:
            save_untrained(tracker.checkpoint_dir, PENDULUM.replace("URI", uri), run_id=tracker.run_id)
        assert cli.main(["publish", "one", "--name", "first", "--licence", "MIT", f"tracking.uri={uri}"]) == 0
        command = ["evaluate", "--run", "one", "--seeds", "1,2", "--workers", "1", "--output", "evaluated"]
        assert cli.main([*command, f"tracking.uri={uri}"]) == 0
    return folder


@pytest.fixture
def place(filled: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, as the working folder."""
    monkeypatch.chdir(filled)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{filled}/mlruns/mlflow.db")
    return filled


def _checkpoint(place: Path) -> Path:
    (manifest,) = place.glob("mlruns/**/manifest.json")
    return manifest.parent


@pytest.mark.slow
def test_the_published_policy_acts_as_the_checkpoints(place: Path) -> None:
    own, loaded = load_policy(_checkpoint(place)), load_policy(place / "first")
    assert (own.act(OBSERVATIONS.numpy()) == loaded.act(OBSERVATIONS.numpy())).all()
    assert (loaded.run_id, loaded.env_step, loaded.config.seed) == (None, 400, 3)
    assert loaded.config.env == own.config.env
    assert loaded.curve == own.curve


@pytest.mark.slow
def test_the_config_has_every_option_of_the_run_but_its_store(place: Path) -> None:
    """A default that changes later must not change the policy."""
    tree = yaml.safe_load((place / "first" / published.CONFIG).read_text())
    options = asdict(load_policy(_checkpoint(place)).config)
    del options["tracking"]
    assert tree == options


@pytest.mark.slow
def test_the_folder_is_small_and_says_nothing_of_this_machine(place: Path) -> None:
    files = sorted(path.relative_to(place / "first").as_posix() for path in (place / "first").rglob("*.*"))
    assert files == [
        "card.json",
        "card.md",
        *sorted([published.CONFIG, published.ABOUT, published.EPISODES]),
        "policy.safetensors",
    ]
    for file in files[:-1]:
        text = (place / "first" / file).read_text()
        assert str(place) not in text, file
        assert "secret" not in text, file
    assert published.size(place / "first") < 20_000


@pytest.mark.slow
def test_the_card_has_the_run_and_the_evaluation(place: Path) -> None:
    card = published.read_card(place / "first")
    (run,) = {path.parts[-5] for path in place.glob("mlruns/**/manifest.json")}
    assert (card["licence"], card["place"], card["training"]["run"]) == ("MIT", "gymnasium Pendulum-v1", run)
    assert card["training"]["seed"] == 3
    evaluation = card["evaluation"]
    assert evaluation["command"] == (
        "genreplay evaluate --checkpoint first --seeds 101,102,103,104,105 --baselines none"
    )
    assert evaluation["in_range"]["policy"] == pytest.approx(evaluation["means"]["policy"]["default"])
    text = (place / "first" / "card.md").read_text()
    assert text.startswith("# first\n\nA policy for gymnasium Pendulum-v1.\n")
    assert f"| policy     | **{evaluation['means']['policy']['default']:.1f}** |" in text


@pytest.mark.slow
def test_an_evaluation_that_was_kept_is_taken_and_the_folder_replaced(
    place: Path, capsys: pytest.CaptureFixture
) -> None:
    command = ["publish", str(_checkpoint(place)), "--name", "second", "--evaluation", "evaluated"]
    assert cli.main(command) == 0
    assert "second: policy second of run one (" in capsys.readouterr().out
    assert published.read_card(place / "second")["licence"] == "not stated"
    assert cli.main([*command[:-1], "evaluated", "--output", "second", "--licence", "CC0"]) == 0
    assert published.read_card(place / "second")["licence"] == "CC0"
    assert published.read_card(place / "second")["evaluation"]["seeds"] == [1, 2]


@pytest.mark.slow
def test_what_does_not_fit_is_refused(place: Path, capsys: pytest.CaptureFixture) -> None:
    def refused(*arguments: str) -> str:
        capsys.readouterr()
        assert cli.main(["publish", "one", "--name", "third", *arguments]) == 2
        return capsys.readouterr().err.removeprefix("genreplay: error: ").rstrip("\n")

    (place / "mine").mkdir(exist_ok=True)
    (place / "mine" / "thesis.tex").write_text("")
    assert refused("--output", "mine") == (
        "--output mine: is no published policy, and would be replaced; name a new folder"
    )
    assert refused("--evaluation", "mine") == (
        "--evaluation mine: holds no evaluation; write one with: genreplay evaluate --output DIR"
    )
    shutil.copytree(place / "evaluated", place / "other", dirs_exist_ok=True)
    about = json.loads((place / "other" / "evaluation.json").read_text())
    (place / "other" / "evaluation.json").write_text(json.dumps(about | {"env_step": 300}))
    run = about["run_id"]
    assert refused("--evaluation", "other") == (
        f"--evaluation other: is of run {run} at env step 300, and the policy is of run {run} at env step 400; "
        "evaluate this one"
    )
    changed = about["config"].replace("max_episode_steps: 5", "max_episode_steps: 6")
    (place / "other" / "evaluation.json").write_text(json.dumps(about | {"config": changed}))
    assert refused("--evaluation", "other") == (
        "--evaluation other: was played with env.max_episode_steps=6, and the policy was trained with 5; evaluate it "
        "without overrides"
    )
    assert refused("seed=3") == ("seed=3: has no effect here, where the checkpoint's own config counts; leave it out")
    assert not (place / "third").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", "a\\b", ".hidden", "a b", "end.", "x" * 65, "a\n"])
def test_names_that_are_no_folder_names_are_refused(name: str, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["publish", "one", "--name", name]) == 2
    expected = f"--name {name}: must be letters, digits, '_', '-' and '.', such as my_junction".replace("\n", " ")
    assert capsys.readouterr().err == f"genreplay: error: {expected}\n"


def test_commands_keep_no_folders_and_no_store() -> None:
    command = "/home/ann/.venv/bin/genreplay fit --config /home/ann/own.yaml env.net_file=/maps/a.net.xml seed=1"
    assert public_command(f"{command} tracking.uri=http://ann:word@host") == (
        "genreplay fit --config own.yaml env.net_file=a.net.xml seed=1"
    )
    assert public_command("/usr/lib/genreplay/__main__.py fit --config sumo_pgr") == "genreplay fit --config sumo_pgr"
    assert public_command("/home/ann/study.py 'two words'") == "study.py 'two words'"


def test_cells_break_no_table() -> None:
    assert table(["a", "b"], [["x|y\nz", "1"]]) == ["| a      | b   |", "|--------|-----|", "| x\\|y z | 1   |"]
