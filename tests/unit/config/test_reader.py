"""Config files: precedence, and the message of every mistake."""

from itertools import pairwise
from pathlib import Path

import pytest

from genreplay import config, registry
from genreplay.commands.options import refuse_overrides
from genreplay.common.errors import UserError
from genreplay.config.schema import DEFAULT_PARTS
from tests.helpers.refusal import refusal


def _message(path: str, *overrides: str) -> str:
    with pytest.raises(UserError) as error:
        config.load(path, overrides)
    assert "\n" not in str(error.value)
    return str(error.value)


# What wins -----------------------------------------------------------------------------------------------------------


def test_an_empty_file_is_the_defaults(write) -> None:
    loaded = config.load(write("x.yaml", ""))
    assert {kind: getattr(loaded, kind).name for kind in registry.KINDS} == DEFAULT_PARTS
    assert loaded.loop.num_env_steps == 3000


def test_the_file_wins_over_what_it_extends_and_overrides_win_over_all(write) -> None:
    write("base.yaml", "seed: 1\nloop: {num_env_steps: 1000, utd_ratio: 1, num_workers: 2}\n")
    write("fragments/long.yaml", "loop: {num_env_steps: 2000, utd_ratio: 2}\n")
    path = write("x.yaml", "extends: [base.yaml, fragments/long.yaml]\nloop: {utd_ratio: 3}\n")
    loop = config.load(path).loop
    assert (loop.num_workers, loop.num_env_steps, loop.utd_ratio) == (2, 2000, 3.0)
    loaded = config.load(path, ["loop.utd_ratio=4", "seed=5", "loop.utd_ratio=6"])
    assert (loaded.loop.utd_ratio, loaded.seed, loaded.loop.num_env_steps) == (6.0, 5, 2000)


def test_extends_is_nested_and_relative_to_each_file(write) -> None:
    write("a/deep/base.yaml", "seed: 1\n")
    write("a/middle.yaml", "extends: deep/base.yaml\nloop: {num_workers: 3}\n")
    loaded = config.load(write("x.yaml", "extends: a/middle.yaml\n"))
    assert (loaded.seed, loaded.loop.num_workers) == (1, 3)


def test_a_file_reached_twice_counts_at_its_first_place(write) -> None:
    write("base.yaml", "seed: 1\n")
    write("one.yaml", "extends: base.yaml\nseed: 2\n")
    write("two.yaml", "extends: base.yaml\nloop: {num_workers: 3}\n")
    assert config.load(write("x.yaml", "extends: [one.yaml, two.yaml]\n")).seed == 2


def test_lists_are_replaced_as_a_whole(write) -> None:
    write("base.yaml", "evaluation: {seeds: [1, 2, 3, 4]}\n")
    path = write("x.yaml", "extends: base.yaml\nevaluation: {seeds: [7]}\n")
    assert config.load(path).evaluation.seeds == [7]
    assert config.load(path, ["evaluation.seeds=[8, 9]"]).evaluation.seeds == [8, 9]


def test_naming_another_part_discards_what_lower_files_told_the_one_before(write) -> None:
    write("base.yaml", "env: {name: gymnasium, id: Other-v0}\n")
    path = write("x.yaml", "extends: base.yaml\nseed: 1\n")
    assert config.load(path).env.id == "Other-v0"
    assert config.load(path, ["env.name=gymnasium"]).env.id == "Other-v0"
    assert config.load(path, ["env.name=sumo"]).env == registry.entry("env", "sumo").config()
    back = write("back.yaml", "extends: other.yaml\nenv: {name: gymnasium}\n")
    write("other.yaml", "extends: x.yaml\nenv: {name: sumo}\n")
    assert config.load(back).env.id == "Pendulum-v1"


def test_on_the_command_line_the_order_of_name_and_options_is_free(write) -> None:
    path = write("x.yaml", "")
    one = config.load(path, ["env.name=gymnasium", "env.id=A-v1"])
    assert one == config.load(path, ["env.id=A-v1", "env.name=gymnasium"])
    assert one.env.id == "A-v1"


def test_the_agent_sees_synthetic_rows_only_where_a_generator_makes_them(write) -> None:
    path = write("x.yaml", "")
    assert config.load(path).replay.synthetic_fraction == 0.0
    assert config.load(path, ["generator.name=edm"]).replay.synthetic_fraction == 0.5
    assert config.load(path, ["generator.name=edm", "replay.synthetic_fraction=0.05"]).replay.synthetic_fraction == 0.05


# Mistakes ------------------------------------------------------------------------------------------------------------

IN_THE_FILE = [
    ("agent: {ensemble_sze: 3}", "x.yaml: agent.ensemble_sze: unknown key; did you mean 'ensemble_size'?"),
    ("lop: {}", "x.yaml: lop: unknown key; did you mean 'loop'?"),
    ("env: {demand: {flow_rnge: [1, 2]}}", "x.yaml: env.demand.flow_rnge: unknown key; did you mean 'flow_range'?"),
    (
        "env: {name: gymnasium, action_mode: cycle}",
        "x.yaml: env.action_mode: unknown key; the keys here are name, id, max_episode_steps",
    ),
    ("generator: {zzz: 1}", "x.yaml: generator.zzz: unknown key; the keys here are name"),
    ("loop: {num_env_steps: many}", "x.yaml: loop.num_env_steps: must be a whole number, not 'many'"),
    ("loop: {num_env_steps: 10.5}", "x.yaml: loop.num_env_steps: must be a whole number, not 10.5"),
    ("loop: {utd_ratio: [1]}", "x.yaml: loop.utd_ratio: must be a number, not [1]"),
    ("seed: null", "x.yaml: seed: must be a whole number, not null"),
    ("codec: {derive: maybe}", "x.yaml: codec.derive: must be true or false, not 'maybe'"),
    ("fabric: {num_threads: true}", "x.yaml: fabric.num_threads: must be a whole number or null, not true"),
    ("evaluation: {seeds: 3}", "x.yaml: evaluation.seeds: must be a list with a whole number in each place, not 3"),
    (
        "evaluation: {seeds: [a]}",
        "x.yaml: evaluation.seeds: must be a list with a whole number in each place, not ['a']",
    ),
    ("agent: redq_sac", "x.yaml: agent: is a section, not 'redq_sac'; name one of its keys, such as agent.name"),
    ("loop:", "x.yaml: loop: is a section, not null; name one of its keys, such as loop.num_env_steps"),
    ("env: {name: sumi}", "x.yaml: env.name: there is no env 'sumi'; choose one of gymnasium, overcooked, sumo"),
    ("agent: {gamma: 3}", "x.yaml: agent.gamma: must lie in (0, 1], not 3.0"),
    ("agent: {gamma: .nan}", "x.yaml: agent.gamma: must lie in (0, 1], not nan"),
    ("replay: {synthetic_fraction: 1}", "x.yaml: replay.synthetic_fraction: must lie in [0, 1), not 1.0"),
    ("replay: {storage: disk}", "x.yaml: replay.storage: must be one of memory, memmap, not 'disk'"),
    ("loop: {utd_ratio: .inf}", "x.yaml: loop.utd_ratio: must be at least 0, not inf"),
    ("speed: turbo", "x.yaml: speed: must be one of exact, default, fast, not 'turbo'"),
    ("seed: -1", "x.yaml: seed: must lie in [0, 2**31), not -1"),
    ("seed: ${sed}", "x.yaml: seed: Interpolation key 'sed' not found"),
    ("- loop", "x.yaml: must hold sections with keys, such as 'loop:' and 'num_env_steps: 3000' below it"),
    ("loop: [1\nseed: 2", "x.yaml: line 2: invalid YAML: did not find expected ',' or ']'; fix the syntax there"),
    ("seed: 1\nseed: 2", "x.yaml: line 2: invalid YAML: found duplicate key seed; fix the syntax there"),
    ("seed: ${", "x.yaml: seed: no viable alternative at input '${'; fix the ${...} there"),
    ("extends: y.yaml", "x.yaml: extends: there is no file y.yaml; names are relative to ."),
    ("extends: {a: 1}", "x.yaml: extends: must be a file name or a list of them, not {'a': 1}"),
]


@pytest.mark.parametrize(("text", "message"), IN_THE_FILE)
def test_mistakes_in_a_file_name_file_key_and_remedy(write, text: str, message: str) -> None:
    assert _message(write("x.yaml", text)) == message


ON_THE_COMMAND_LINE = [
    ("agent.ensemble_sze=3", ": agent.ensemble_sze: unknown key; did you mean 'ensemble_size'?"),
    ("agent.gamma=2", ": agent.gamma: must lie in (0, 1], not 2.0"),
    ("seed", ": has no '='; write key=value, such as loop.utd_ratio=20"),
    ("=3", ": '' is no key; write section.key=value, such as loop.utd_ratio=20"),
    ("loop..utd_ratio=3", ": 'loop..utd_ratio' is no key; write section.key=value, such as loop.utd_ratio=20"),
    ("seed=[", ": the value is invalid YAML (while parsing a flow node); quote it"),
    ("loop=3", ": loop: is a section, not 3; name one of its keys, such as loop.num_env_steps"),
    ("seed.x=3", ": seed: must be a whole number, not {'x': 3}"),
    (
        "generator.name=edn",
        ": generator.name: there is no generator 'edn'; choose one of edm, factorised, masked, none",
    ),
    (
        "relevance.name=curiosity",
        ": relevance.name: 'curiosity' steers a generator, and generator.name is 'none'; write relevance.name: none, "
        "or name a generator such as edm",
    ),
    (
        "replay.synthetic_fraction=0.5",
        ": replay.synthetic_fraction: 0.5 needs synthetic rows, and generator.name is 'none'; write 0, or name a "
        "generator such as edm",
    ),
    (
        "loop.warmup_env_steps=3000",
        ": loop.warmup_env_steps: must be below loop.num_env_steps (3000), not 3000: a run that only warms up learns "
        "nothing",
    ),
    ("replay.batch_size=200000", ": replay.batch_size: must be at most replay.capacity (100000), not 200000"),
    ("evaluation.seeds=[]", ": evaluation.seeds: must name at least one episode, such as [1, 2, 3]"),
    ("evaluation.seeds=[1, 1]", ": evaluation.seeds: must differ from each other, not [1, 1]"),
    (
        "tracking.uri=mlruns",
        ": tracking.uri: must be a URI such as sqlite:///mlruns/mlflow.db or http://host:5000, not 'mlruns'",
    ),
    (
        "tracking.uri=file:///tmp/mlruns",
        ": tracking.uri: MLflow no longer writes to a folder of files; write sqlite:///mlruns/mlflow.db",
    ),
]


@pytest.mark.parametrize(("override", "message"), ON_THE_COMMAND_LINE)
def test_mistakes_in_an_override_name_it(write, override: str, message: str) -> None:
    assert _message(write("x.yaml", ""), override) == f"override {override!r}{message}"


def test_a_value_out_of_range_names_the_file_it_was_set_in(write) -> None:
    write("agent/bad.yaml", "agent: {gamma: 3}\nenv: {demand: {flow_range: [5, 1]}}\n")
    path = write("x.yaml", "extends: agent/bad.yaml\nseed: 1\n")
    flow_range = "must be [smallest, largest] with 1 <= smallest <= largest, not [5.0, 1.0]"
    assert _message(path) == f"agent/bad.yaml: env.demand.flow_range: {flow_range}"
    assert _message(path, "env.demand.flow_range=[1, 5]") == "agent/bad.yaml: agent.gamma: must lie in (0, 1], not 3.0"
    assert config.load(path, ["agent.gamma=0.5", "env.demand.flow_range=[1, 5]"]).agent.gamma == 0.5


def test_a_contradiction_of_defaults_names_the_main_file(write) -> None:
    path = write("x.yaml", "loop: {num_env_steps: 200, warmup_env_steps: 100}\ngenerator: {name: edm}\n")
    assert _message(path) == (
        "x.yaml: loop.first_refit_env_step: must be below loop.num_env_steps (200), not 600: the generator 'edm' "
        "would never be fitted"
    )


def test_options_of_the_discarded_part_are_still_checked(write) -> None:
    write("base.yaml", "env: {name: gymnasium, idd: 3}\n")
    path = write("x.yaml", "extends: base.yaml\nenv: {name: sumo}\n")
    assert _message(path) == "base.yaml: env.idd: unknown key; did you mean 'id'?"


def test_circles_are_named(write) -> None:
    write("a.yaml", "extends: sub/b.yaml\n")
    write("sub/b.yaml", "extends: ../c.yaml\n")
    write("c.yaml", "extends: a.yaml\n")
    assert _message("a.yaml") == (
        "c.yaml: extends: the files extend each other in a circle (a.yaml -> sub/b.yaml -> c.yaml -> a.yaml); remove "
        "one link"
    )
    assert _message(write("self.yaml", "extends: self.yaml\n")) == (
        "self.yaml: extends: the files extend each other in a circle (self.yaml -> self.yaml); remove one link"
    )


def test_files_that_cannot_be_read_are_named(write, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert _message("folder").startswith("folder: cannot be read as a UTF-8 text file (")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    assert _message("bytes.yaml").startswith("bytes.yaml: cannot be read as a UTF-8 text file (")
    write("deep/x.yaml", "extends: y.yaml")
    assert _message("deep/x.yaml") == "deep/x.yaml: extends: there is no file deep/y.yaml; names are relative to deep"


def test_yaml_executes_nothing(write, tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    message = _message(write("x.yaml", f"seed: !!python/object/apply:os.system ['touch {trace}']"))
    assert message.startswith("x.yaml: line 1: invalid YAML: could not determine a constructor for the tag")
    assert not trace.exists()


BILLION = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]" for below, name in pairwise("abcdefghi")
)
DOUBLING = "tracking: {tags: {z: xxxxxxxxxx, " + ", ".join(
    f"{name}: '${{tracking.tags.{below}}}${{tracking.tags.{below}}}'" for below, name in pairwise("zyxwvutsrqpon")
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BILLION, "has more than 100,000 values; write it without *aliases that name each other"),
        ("a: &a [*a]", "has more than 100,000 values; write it without *aliases that name each other"),
        (DOUBLING + "}}", "has more than 20 ${...}; write the values themselves"),
    ],
)
def test_bombs_of_aliases_are_refused_before_they_are_built(write, text: str, message: str) -> None:
    assert _message(write("x.yaml", text)) == f"x.yaml: {message}"


def test_an_alias_stands_for_its_value(write) -> None:
    path = write("x.yaml", "loop: {num_env_steps: &n 700, first_refit_env_step: *n}")
    assert config.load(path).loop.first_refit_env_step == 700


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "x${ oc.env : HOME }", "${${a}.env:HOME}", "${oc.decode:'1'}"])
def test_nothing_is_looked_up_in_the_environment_to_be_stored(write, text: str) -> None:
    problem = (
        f"{text!r} would be looked up and stored with the run; write the value itself, and credentials in "
        "MLFLOW_TRACKING_URI"
    )
    quoted = text.replace("'", "''")
    assert _message(write("x.yaml", f"tracking:\n  tags: {{a: oc, b: '{quoted}'}}\n")) == f"x.yaml: {problem}"
    override = f"tracking.run_name='{quoted}'"
    assert _message(write("y.yaml", "seed: 1"), override) == f"override {override!r}: {problem}"


def test_a_value_may_name_another_one(write) -> None:
    assert config.load(write("x.yaml", "seed: 3\ntracking: {run_name: 'run-${seed}'}")).tracking.run_name == "run-3"


def test_a_config_of_others_imports_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "strange_module.py").write_text("import pathlib; pathlib.Path('imported').touch()")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    text = "env: {name: gymnasium, id: 'strange_module:Name-v0'}"
    assert refusal(lambda: config.from_yaml(text, "checkpoint x")) == (
        "checkpoint x: env.id: 'strange_module:Name-v0' would import the module 'strange_module', which may do "
        "anything; if you trust it, add env.id=strange_module:Name-v0"
    )
    assert not (tmp_path / "imported").exists()
    assert config.from_yaml(text, "checkpoint x", ["env.id=strange_module:Name-v0"]).env.id == "strange_module:Name-v0"
    refuse_overrides(["env.id=strange_module:Name-v0"], "")
    assert (tmp_path / "imported").exists(), "the user named it"
    assert config.from_yaml(text, "checkpoint x").env.id == "strange_module:Name-v0"
    assert refusal(lambda: refuse_overrides(["env.id=no_such:Name"], "")) == (
        "env.id=no_such:Name: cannot be imported (No module named 'no_such'); name an installed module"
    )
