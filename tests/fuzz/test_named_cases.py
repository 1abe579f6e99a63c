"""Bad input that once ended in a traceback, a hang or a long message, with today's answer word for word."""

from pathlib import Path

import pytest

from genreplay.common.errors import LONGEST_MESSAGE
from tests.helpers.bad_input import DATA, answer, examine

NET = str(DATA / "cross.net.xml")


def refusal(folder: Path, *arguments: str) -> str:
    """The message of a refused command, without what names the folder."""
    told: list[str] = []

    def call() -> tuple[int, str]:
        status, text = answer(arguments)
        told.append(text.removeprefix("genreplay: error: ").rstrip("\n").replace(f"{folder}/", ""))
        return status, text

    assert examine(call, folder) == (2, [])
    return told[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3", "a.yaml: must hold sections with keys, such as 'loop:' and 'num_env_steps: 3000' below it"),
        ("word", "a.yaml: must hold sections with keys, such as 'loop:' and 'num_env_steps: 3000' below it"),
        ("a: " + "[" * 300 + "]" * 300, "a.yaml: invalid YAML: it is nested too deeply; fix the syntax"),
        (
            "seed: " + "9" * 5000,
            "a.yaml: invalid YAML: Exceeds the limit (4300 digits) for integer string conversion: value has 5000 "
            "digits; use sys.set_int_max_str_digits() to increase the limit; fix the syntax",
        ),
        (f"seed: {10**30}", f"a.yaml: seed: {10**30} is too large; write a number below 2**63"),
        (
            'extends: "a\\0b"',
            "a\\x00b: cannot be read as a UTF-8 text file (no file can have this name: embedded null byte); write the "
            "path of a YAML file",
        ),
        (
            "extends: /dev/zero",
            "/dev/zero: cannot be read as a UTF-8 text file (it is no file but a device or a pipe); write the path of "
            "a YAML file",
        ),
        (
            "extends: /etc",
            "/etc: cannot be read as a UTF-8 text file (it is a folder); write the path of a YAML file",
        ),
    ],
)
def test_a_configuration(text, message, tmp_path):
    (tmp_path / "a.yaml").write_text(text)
    assert refusal(tmp_path, "config", "--config", str(tmp_path / "a.yaml")).startswith(message)


def test_a_message_does_not_show_the_content_of_a_file_that_is_no_configuration(tmp_path):
    (tmp_path / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
    (tmp_path / "a.yaml").write_text("extends: passwd")
    message = refusal(tmp_path, "config", "--config", str(tmp_path / "a.yaml"))
    assert message == "passwd: must hold sections with keys, such as 'loop:' and 'num_env_steps: 3000' below it"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "evaluation.seeds.0=5",
            "must be a list with a whole number in each place, not {'0': 5}; write all of it anew",
        ),
        ("evaluation.seeds=[2147483648]", "must be below 2**31, not 2147483648"),
        ("tracking.tags=[a]", "must be a mapping, not ['a']; write all of it anew"),
    ],
)
def test_an_override(override, message, tmp_path):
    key = "tracking.tags" if "tags" in override else "evaluation.seeds"
    told = refusal(tmp_path, "config", "--config", "sumo_pgr", override)
    assert told == f"override {override!r}: {key}: {message}"


def test_a_long_value_keeps_the_place_of_the_error_and_its_remedy(tmp_path):
    told = refusal(tmp_path, "config", "--config", "sumo_pgr", f"agent.{'x' * 131_072}=1")
    assert len(told) == LONGEST_MESSAGE
    assert told.startswith("override 'agent.xxx")
    assert told.endswith(" actor_learning_rate, target_update_rate, actor_average_rate, ...")


def test_a_cell_of_131072_characters(tmp_path):
    (tmp_path / "a.csv").write_text(f"begin,end,n_in -> s_out\n07:00,07:15,{'1' * 131_072}\n")
    told = refusal(tmp_path, "junction", "--net", NET, "--counts", str(tmp_path / "a.csv"))
    assert told == "env.count_file: a.csv: line 2 has 131084 characters; write one of at most 100000"


def test_a_length_that_is_no_number(tmp_path):
    text = Path(NET).read_text()
    start = text.index('length="', text.index("<edge id")) + len('length="')
    (tmp_path / "a.net.xml").write_text(f"{text[:start]}nan{text[text.index(chr(34), start) :]}")
    told = refusal(tmp_path, "junction", "--net", str(tmp_path / "a.net.xml"))
    assert told.startswith("env.net_file: a.net.xml is not a SUMO network (lane ")
    assert told.endswith(" has length='nan'); make one with netconvert")


@pytest.mark.parametrize("port", ["70000", "0", "-1", "9" * 5000, "x"])
def test_a_port(port, tmp_path):
    told = refusal(tmp_path, "ui", f"--port={port}")
    assert told.startswith("argument --port: must be a whole number from 1 to 65535, not '")
    assert told.endswith("'; see genreplay ui --help")


def test_more_seeds_than_anybody_plays(tmp_path):
    told = refusal(tmp_path, "crossplay", "--runs", "a,b", "--seeds", "1-2147483647")
    assert told == "--seeds 1-2147483647: names more than 100,000 seeds; write fewer"


def test_a_kitchen_of_60_by_43(tmp_path):
    from genreplay.common.errors import UserError
    from genreplay.envs.overcooked.kitchen.kitchen_map import read_layout

    rows = ["XOPDS" + "X" * 55, *["X" + " " * 58 + "X"] * 41, "X" * 60]
    (tmp_path / "a.layout").write_text(repr({"grid": "\n".join(rows)}))
    with pytest.raises(UserError, match=r"a\.layout: the map has 60 x 43 cells; a kitchen has at most 200$"):
        read_layout(str(tmp_path / "a.layout"))


TINY = (
    "loop.num_env_steps=20",
    "loop.warmup_env_steps=5",
    "loop.first_refit_env_step=10",
    "loop.num_synthetic_rows=20",
    "loop.utd_ratio=1",
    "agent.hidden_width=16",
    "agent.critic_updates_per_actor_update=1",
    "generator.fit.num_steps=2",
    "generator.network.hidden_width=16",
    "generator.network.num_blocks=1",
    "replay.batch_size=8",
    "evaluation.seeds=[1]",
    "fabric.accelerator=cpu",
)


@pytest.mark.slow
def test_a_run_goes_on_with_the_parts_it_began_with_only(tmp_path):
    assert answer(["fit", "--config", "pendulum_pgr", *TINY, f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"])[0] == 0
    (folder,) = {path.parent for path in tmp_path.rglob("manifest.json")}
    for override, change in {
        "agent.hidden_width=64": "agent.hidden_width is 64 and was 16",
        "agent.ensemble_size=3": "agent.ensemble_size is 3 and was 2",
        "generator.network.hidden_width=64": "generator.network.hidden_width is 64 and was 16",
        "relevance.name=none": "relevance.name is none and was curiosity",
        "loop.num_workers=2": "loop.num_workers is 2 and was 1",
    }.items():
        told = refusal(tmp_path, "fit", "--resume", str(folder), override)
        assert told.startswith(f"checkpoint {str(folder).removeprefix(f'{tmp_path}/')}: does not fit this run")
        assert told.endswith(f"; {change}: leave such options as they were, or start the run anew")
