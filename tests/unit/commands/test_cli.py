"""The command line: one line for every mistake, status 2, nothing heavy before it is needed."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from genreplay import __version__, cli, config
from genreplay.common.errors import UserError
from genreplay.runs import checkpoint
from tests.helpers.paths import CONF


@pytest.fixture
def run_fit(monkeypatch: pytest.MonkeyPatch) -> list:
    """Stands in for `genreplay.training.run`; what its `fit` was called with."""
    calls: list = []
    module = ModuleType("genreplay.training.run")
    module.fit = lambda experiment, resume, name: calls.append((experiment, resume, name)) or 7  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "genreplay.training.run", module)
    monkeypatch.setattr("genreplay.training.run", module, raising=False)
    return calls


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "x.yaml").write_text("env: {name: gymnasium}\nloop: {utd_ratio: 2}\n")


def _error(capsys: pytest.CaptureFixture, *argv: str) -> str:
    assert cli.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("genreplay: error: ")
    assert err.count("\n") == 1
    return err.removeprefix("genreplay: error: ").rstrip("\n")


def test_config_prints_the_resolved_tree_and_nothing_else(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["config", "--config", "x.yaml", "seed=3", "agent.gamma=0.5"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    tree = yaml.safe_load(out)
    assert (tree["seed"], tree["agent"]["gamma"], tree["loop"]["utd_ratio"]) == (3, 0.5, 2.0)
    assert config.from_yaml(out, "out") == config.load("x.yaml", ["seed=3", "agent.gamma=0.5"])


def test_config_lists_the_configurations_that_come_with_genreplay(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["config", "--list"]) == 0
    first_line = (CONF / "sumo_pgr.yaml").read_text().splitlines()[0].removeprefix("# ")
    assert any(line.split(maxsplit=1) == ["sumo_pgr", first_line] for line in capsys.readouterr().out.splitlines())


def test_overrides_may_stand_anywhere(capsys: pytest.CaptureFixture) -> None:
    for argv in (
        ["config", "seed=3", "--config", "x.yaml", "loop.num_workers=2"],
        ["config", "--config", "x.yaml", "seed=3", "loop.num_workers=2"],
        ["config", "seed=3", "loop.num_workers=2", "--config=x.yaml"],
    ):
        assert cli.main(argv) == 0
        tree = yaml.safe_load(capsys.readouterr().out)
        assert (tree["seed"], tree["loop"]["num_workers"]) == (3, 2)


MISTAKES = [
    (
        ["config", "--config", "x.yaml", "agent.ensemble_sze=3"],
        "override 'agent.ensemble_sze=3': agent.ensemble_sze: unknown key; did you mean 'ensemble_size'?",
    ),
    (
        ["fit", "--config", "none.yaml"],
        "none.yaml: no such config file, and no configuration of this name; write a path or a name; genreplay config "
        "--list shows all names",
    ),
    (["fit"], "fit: has nothing to train; give --config FILE, or --resume RUN to go on with a run"),
    (["fit", "--config", "x.yaml", "--seed=3"], "--seed=3: there is no such option; write seed=3 without dashes"),
    (["fit", "--config", "x.yaml", "--fast"], "--fast: there is no such option; see genreplay fit --help"),
    (
        ["fit", "--resume", "last"],
        "--resume last: there is no such folder, and no run in sqlite:///mlruns/mlflow.db yet; begin one with: "
        "genreplay fit --config FILE",
    ),
    (
        ["fit", "--resume", "last", "tracking.uri=sqlite:///other.db"],
        "--resume last: there is no such folder, and no run in sqlite:///other.db yet; begin one with: "
        "genreplay fit --config FILE",
    ),
    (["config"], "one of the arguments --config --list is required; see genreplay config --help"),
    (["config", "--list", "seed=1"], "seed=1: has no effect on --list; leave it out"),
    (["fit", "--config"], "argument --config: expected one argument; see genreplay fit --help"),
    (["ui"], "ui: there is no run in sqlite:///mlruns/mlflow.db yet; begin one with: genreplay fit --config FILE"),
    (
        ["ui", "tracking.uri=http://host:5000"],
        "ui: http://host:5000 is an MLflow server with a UI of its own; open it in the browser",
    ),
    (
        ["ui", "--port", "x"],
        "argument --port: must be a whole number from 1 to 65535, not 'x'; see genreplay ui --help",
    ),
    ([], "the following arguments are required: COMMAND; see genreplay --help"),
]


@pytest.mark.parametrize(("argv", "message"), MISTAKES)
def test_mistakes(capsys: pytest.CaptureFixture, argv: list[str], message: str) -> None:
    assert _error(capsys, *argv) == message
    assert not Path("mlruns").exists(), "a mistake leaves nothing behind"


def test_fit_runs_what_the_file_says_and_gives_its_exit_status(run_fit: list) -> None:
    assert cli.main(["fit", "--config", "x.yaml", "seed=3"]) == 7
    assert run_fit == [(config.load("x.yaml", ["seed=3"]), None, "x")]


def test_an_error_during_the_run_is_one_line_too(run_fit: list, capsys: pytest.CaptureFixture) -> None:
    def fail(*args: object) -> int:
        raise UserError("env: SUMO said no")

    sys.modules["genreplay.training.run"].fit = fail  # type: ignore[attr-defined]
    assert _error(capsys, "fit", "--config", "x.yaml") == "env: SUMO said no"


def test_resume_takes_the_config_from_the_checkpoint_and_overrides_win(
    run_fit: list, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    import torch
    from tensordict import TensorDict

    experiment = config.load("x.yaml", ["seed=3"])
    folder = checkpoint.save(
        tmp_path / "saved",
        modules={},
        optimizers={},
        counters={},
        config_yaml=config.to_yaml(experiment),
        buffers=TensorDict({"cursor": torch.tensor(0)}, []),
    )
    assert cli.main(["fit", "--resume", "saved"]) == 7
    assert cli.main(["fit", "--resume", "saved", "loop.num_env_steps=9000"]) == 7
    assert cli.main(["fit", "--resume", "saved", "--config", "x.yaml"]) == 7
    longer = config.load("x.yaml", ["seed=3", "loop.num_env_steps=9000"])
    relative = folder.relative_to(tmp_path)
    assert run_fit == [
        (experiment, relative, None), (longer, relative, None), (config.load("x.yaml"), relative, "x"),
    ]  # fmt: skip
    assert _error(capsys, "fit", "--resume", "saved", "sed=1") == (
        "override 'sed=1': sed: unknown key; did you mean 'seed'?"
    )


def test_ui_serves_the_store_of_the_config_on_this_machine_only(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    Path("runs.db").write_text("")
    Path("x.yaml").write_text("tracking: {uri: 'sqlite:///runs.db'}\n")
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, command: started.append(command))
    cli.main(["ui", "--config", "x.yaml", "--port", "5001"])
    assert started == [
        [
            sys.executable,
            "-m",
            "mlflow",
            "ui",
            "--backend-store-uri",
            "sqlite:///runs.db",
            "--host",
            "127.0.0.1",
            "--port",
            "5001",
            "--workers",
            "1",
            "--default-artifact-root",
            (Path.cwd() / "artifacts").as_uri(),
        ]
    ]
    assert capsys.readouterr().err == "MLflow shows sqlite:///runs.db at http://127.0.0.1:5001 (Ctrl-C ends it)\n"


def _genreplay(*argv: str, **environment: str) -> subprocess.CompletedProcess:
    """The command in a process of its own, with the names of the modules it loaded on the last line of stdout."""
    program = (
        "import sys\nfrom genreplay.cli import main\n"
        "try: status = main()\nexcept SystemExit as end: status = end.code\n"
        "print('loaded', *[name for name in ('torch', 'mlflow', 'numpy', 'omegaconf') if name in sys.modules])\n"
        "sys.exit(status)"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *argv],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_help_and_version_load_nothing_heavy() -> None:
    done = _genreplay("--help")
    assert done.returncode == 0
    assert "genreplay fit --config sumo_pgr" in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded"
    assert done.stderr == ""
    version = _genreplay("--version")
    assert version.stdout == f"genreplay {__version__}\nloaded\n"


def test_a_config_error_loads_nothing_heavy() -> None:
    done = _genreplay("fit", "--config", str(CONF / "sumo_pgr.yaml"), "agent.ensemble_sze=3")
    assert done.returncode == 2
    assert done.stdout == "loaded omegaconf\n"
    assert done.stderr == (
        "genreplay: error: override 'agent.ensemble_sze=3': agent.ensemble_sze: unknown key; did you mean "
        "'ensemble_size'?\n"
    )


def test_one_rank_warns_for_all() -> None:
    argv = ("config", "--config", "x.yaml", "loop.num_synthetic_rows=9")
    first, second = _genreplay(*argv, LOCAL_RANK="0"), _genreplay(*argv, LOCAL_RANK="1")
    assert first.stderr == (
        "genreplay: WARNING: override 'loop.num_synthetic_rows=9': loop.num_synthetic_rows: has no effect: there is "
        "no generator; name one, such as generator.name=edm\n"
    )
    assert (second.returncode, second.stderr) == (0, "")


@pytest.mark.parametrize("command", [command.__name__.rpartition(".")[2] for command in cli.COMMANDS])
def test_every_command_has_help(capsys: pytest.CaptureFixture, command: str) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])
    assert end.value.code == 0
    assert f"usage: genreplay {command}" in capsys.readouterr().out
