"""Published policies: found by name, refused in one line where they are damaged, foreign or hostile."""

import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import genreplay
from genreplay import cli
from genreplay.runs import published
from genreplay.runs.policy import load_policy
from tests.helpers.pickles import Bomb
from tests.helpers.refusal import refusal

NAME = "cramped_room"
KNOWN = "2way, cologne1, cramped_room, ingolstadt1"
AGAIN = "copy the folder again, or publish the run anew with: genreplay publish"
OTHER = (
    "was published by genreplay {version} for other inputs, outputs or networks than this version has; use that "
    "version, or train it anew and publish it with: genreplay publish"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a policy that comes with genreplay."""
    return Path(shutil.copytree(published.FOLDER / NAME, tmp_path / "copy"))


def _change(folder: Path, file: str, change: Callable[[bytes], bytes]) -> None:
    """Change a file and make the card say so: what someone who means harm can do."""
    path = folder / file
    path.write_bytes(change(path.read_bytes()))
    _change_card(folder, lambda card: card["files"].update({file: published.digest(path)}))


def _change_card(folder: Path, change: Callable[[dict], object]) -> None:
    card = json.loads((folder / published.CARD).read_text())
    change(card)
    (folder / published.CARD).write_text(json.dumps(card))


def test_policies_are_found_by_name_and_a_folder_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert published.resolve(NAME) == published.FOLDER / NAME
    assert genreplay.load_policy(NAME).folder == published.FOLDER / NAME
    monkeypatch.chdir(folder.parent)
    folder.rename(NAME)
    assert published.resolve(NAME) == Path(NAME)
    assert genreplay.load_policy(NAME).folder == Path(NAME)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cologne", "did you mean cologne1? "),
        ("nowhere at all", ""),
        ("../policies/2way", ""),
        ("2way/../2way", ""),
        ("2way/", "did you mean 2way? "),
        ("/etc/passwd", ""),
        ("*", ""),
        ("", ""),
    ],
)
def test_unknown_names_list_the_known_ones(
    name: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    message = f"no policy of this name; {hint}genreplay has {KNOWN}"
    if name:
        assert (
            refusal(lambda: published.resolve(name)) == f"--checkpoint {name}: there is no such folder, and {message}"
        )
    assert cli.main(["policies", name]) == 2
    assert capsys.readouterr().err == f"genreplay: error: {name}: {message}\n"


def test_the_list_and_a_card(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["policies"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "environment", "in", "range", "(best", "baseline)", "env", "steps", "policy"]
    assert [row.split()[0] for row in rows] == published.names()
    found = published.read_card(published.FOLDER / "2way")["evaluation"]["in_range"]
    best = found["best_baseline"].replace("_", " ")
    assert f"delay {found['policy']:.1f} s ({best} {found['best_value']:.1f} s)" in rows[0]
    assert "(no baseline)" in next(row for row in rows if row.startswith(NAME))
    assert cli.main(["policies", "2way"]) == 0
    assert capsys.readouterr().out == (published.FOLDER / "2way" / "card.md").read_text()


@pytest.mark.parametrize("name", published.FILES)
def test_a_missing_or_changed_file_is_named(folder: Path, name: str) -> None:
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert refusal(lambda: load_policy(folder)) == (
        f"policy {folder}: {name} is damaged (its SHA-256 is not the card's); {AGAIN}"
    )
    path.unlink()
    assert refusal(lambda: load_policy(folder)) == f"policy {folder}: {name} is missing; {AGAIN}"


def test_truncated_and_foreign_cards_are_refused(folder: Path) -> None:
    text = (folder / published.CARD).read_text()
    for broken in (text[:100], "[]", "{}", "7", "\udcff" * 3, "[" * 100_000):
        (folder / published.CARD).write_bytes(broken.encode(errors="surrogateescape"))
        assert refusal(lambda: load_policy(folder)) == f"policy {folder}: card.json is damaged; {AGAIN}"
    (folder / published.CARD).write_text(text.replace('"format": 1', '"format": 2'))
    assert refusal(lambda: load_policy(folder)) == (
        f"policy {folder}: is of format 2, and this genreplay reads format 1; publish it anew, or use the version of "
        "genreplay that wrote it"
    )
    (folder / published.CARD).write_text(text.replace('"mean":', '"average":'))
    assert refusal(lambda: load_policy(folder)) == (
        f"policy {folder}: card.json is damaged (training.curve has something else than numbers); {AGAIN}"
    )
    (folder / published.CARD).write_text(text.replace('"env_steps"', '"steps"'))
    assert refusal(lambda: load_policy(folder)) == (
        f"policy {folder}: card.json is damaged (no training.env_steps); {AGAIN}"
    )
    (folder / published.CARD).unlink()
    assert refusal(lambda: load_policy(folder)) == f"policy {folder}: card.json is missing; {AGAIN}"


@pytest.mark.parametrize("use_torch", [False, True])
@pytest.mark.parametrize("name", [published.WEIGHTS, published.CONFIG, published.CARD])
def test_a_pickle_in_place_of_a_file_is_refused_and_not_executed(folder: Path, name: str, use_torch: bool) -> None:
    trace = folder / "executed"
    path = folder / name
    if use_torch:
        torch.save(Bomb(trace), path)
    else:
        path.write_bytes(pickle.dumps(Bomb(trace)))
    if name != published.CARD:
        _change(folder, name, lambda content: content)
    message = refusal(lambda: load_policy(folder))
    assert message.startswith(f"policy {folder}: {name}")
    assert "\n" not in message
    assert not trace.exists()
    if name == published.WEIGHTS:
        assert message == f"policy {folder}: {name} is no safetensors file; {AGAIN}"


def test_truncated_weights_are_refused(folder: Path) -> None:
    for kept in (0, 4, 40, -1):
        shutil.copy(published.FOLDER / NAME / published.WEIGHTS, folder)
        _change(folder, published.WEIGHTS, lambda content, kept=kept: content[:kept])
        message = refusal(lambda: load_policy(folder))
        assert message == f"policy {folder}: policy.safetensors is no safetensors file; {AGAIN}"


def _resave(folder: Path, change: Callable[[dict], object]) -> None:
    weights = load_file(folder / published.WEIGHTS)
    change(weights)
    save_file(weights, folder / published.WEIGHTS)
    _change(folder, published.WEIGHTS, lambda content: content)


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: weights.popitem(),
        lambda weights: weights.update(extra=torch.zeros(2)),
        lambda weights: weights.update({key: value[:1].clone() for key, value in weights.items()}),
    ],
    ids=["fewer", "more", "narrower"],
)
def test_weights_of_another_network_are_refused(folder: Path, change: Callable[[dict], object]) -> None:
    _resave(folder, change)
    version = published.read_card(folder)["genreplay"]
    assert refusal(lambda: load_policy(folder)) == f"policy {folder}: {OTHER.format(version=version)}"


def test_weights_that_are_not_finite_are_refused(folder: Path) -> None:
    _resave(folder, lambda weights: next(iter(weights.values())).fill_(torch.nan))
    assert refusal(lambda: load_policy(folder)) == (
        f"policy {folder}: policy.safetensors has weights that are not finite; {AGAIN}"
    )


def test_other_inputs_of_equal_width_are_refused(folder: Path) -> None:
    _change_card(folder, lambda card: card.update(interface="0" * 64, genreplay="0.0.9"))
    assert refusal(lambda: load_policy(folder)) == f"policy {folder}: {OTHER.format(version='0.0.9')}"


def test_an_interface_is_its_inputs_and_outputs_in_order() -> None:
    card = {"inputs": [{"name": "a", "limit": 1.0}, {"name": "b"}], "outputs": [], "training": 3}
    interface = published.interface_of(card)
    assert interface == published.interface_of({**card, "training": 4})
    close = [{"name": "a", "limit": 1.0 + 1e-12}, {"name": "b"}]
    assert interface == published.interface_of({**card, "inputs": close})
    assert interface != published.interface_of({**card, "inputs": card["inputs"][::-1]})
    assert interface != published.interface_of({**card, "inputs": [{"name": "a", "limit": 1.1}, {"name": "b"}]})


def test_an_option_that_this_version_lacks_names_the_one_that_published_it(folder: Path) -> None:
    _change(folder, published.CONFIG, lambda text: text.replace(b"agent:\n", b"agent:\n  wings: 2\n"))
    message = refusal(lambda: load_policy(folder))
    assert message.startswith(f"policy {folder}: config.yaml: agent.wings: ")
    assert message.endswith("; the policy was published by genreplay 0.1.0: use that version, or train it anew")


def test_a_config_names_no_other_file_and_no_store(folder: Path) -> None:
    config = (folder / published.CONFIG).read_bytes()
    _change(folder, published.CONFIG, lambda text: text + b"tracking: {uri: 'http://stranger'}\n")
    assert load_policy(folder).config.tracking.uri is None
    _change(folder, published.CONFIG, lambda _: config + b"extends: [/etc/hostname]\n")
    assert refusal(lambda: load_policy(folder)).startswith(f"policy {folder}: config.yaml: extends: ")


def test_overrides_change_the_environment_where_the_policy_still_fits(folder: Path) -> None:
    assert load_policy(folder, ["env.horizon=20"]).config.env.horizon == 20
    assert refusal(lambda: load_policy(folder, ["env.layout=forced_coordination"])) == (
        f"policy {folder}: does not fit this environment, which has observations of width 126 and actions of width 12; "
        "leave the options of env as they were in training"
    )
    assert refusal(lambda: load_policy(folder, ["env.wings=2"])).startswith("override 'env.wings=2': ")


@pytest.mark.parametrize("name", published.names())
def test_a_shipped_policy_is_small_and_whole(name: str) -> None:
    folder = published.FOLDER / name
    loaded = load_policy(folder)
    card = published.read_card(folder)
    assert (card["name"], card["licence"]) == (name, "MIT")
    assert published.size(folder) <= 1_000_000
    assert len(card["training"]["commit"]) == 40
    assert card["training"]["has_changes"] == "false"
    assert re.match("genreplay (fit --config conf/|study controller_)", card["training"]["command"])
    assert loaded.env_step >= loaded.config.loop.num_env_steps, "trained to the end"
    for path in folder.rglob("*"):
        if path.suffix in (".json", ".md", ".yaml"):
            assert not re.search("/(tmp|home|root|work)/", path.read_text()), path
