"""The command line. Light: torch, MLflow and the simulators load only once a command needs them."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from genreplay import __version__
from genreplay.commands import clone, junction
from genreplay.commands.options import add_command, add_policy, named_uri, number, policy_folder, seeds, words
from genreplay.common.errors import UserError
from genreplay.partners import crossplay

EPILOG = """examples:
  genreplay fit --config conf/sumo_pgr.yaml                     train a traffic-signal controller
  genreplay fit --config conf/sumo_pgr.yaml seed=1 loop.utd_ratio=10
  genreplay fit --resume last                                   go on where the last run stopped
  genreplay evaluate --run last                                 the last run's policy beside every baseline
  genreplay export --run last                                   the last run's policy as one ONNX file
  genreplay render --run last --baseline                        watch it beside the map's fixed plan
  genreplay report --run last                                   one HTML page of all that is known of it
  genreplay junction --net my.net.xml --counts my.csv           does my map fit, and what can its light carry?
  genreplay crossplay --runs a,b,c --seeds 101-105              which runs cook well together (Overcooked)
  genreplay config --config conf/sumo_pgr.yaml agent.gamma=0.98 print what counts in the end
  genreplay ui                                                  curves and checkpoints in the browser
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status. 2: something the user can mend, told in one line on stderr."""
    logging.basicConfig(format="%(name)s: %(levelname)s: %(message)s")
    if os.environ.get("LOCAL_RANK", "0") != "0":
        # Fabric starts this command again on every rank; one of them is enough to warn.
        logging.getLogger("genreplay").setLevel(logging.ERROR)
    try:
        arguments = _parse(sys.argv[1:] if argv is None else argv)
        return arguments.command(arguments)
    except UserError as error:
        print(f"genreplay: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


# Commands ------------------------------------------------------------------------------------------------------------


def _fit(arguments: argparse.Namespace) -> int:
    from genreplay import config

    if arguments.config is None and arguments.resume is None:
        raise UserError("fit: has nothing to train; give --config FILE, or --resume RUN to go on with a run")
    experiment = None if arguments.config is None else config.load(arguments.config, arguments.overrides)
    resume = None
    if arguments.resume is not None:
        from genreplay.runs import checkpoint, find, store

        uri = named_uri(arguments.overrides) if experiment is None else experiment.tracking.uri
        folder = find.resolve_run(arguments.resume, store.store_uri(uri), checkpoint.exists)
        resume = checkpoint.newest(folder)
        if experiment is None:
            experiment = config.load(resume / checkpoint.CONFIG, arguments.overrides)
    assert experiment is not None
    from genreplay.training import run

    return run.fit(experiment, resume)


def _config(arguments: argparse.Namespace) -> int:
    from genreplay import config

    sys.stdout.write(config.to_yaml(config.load(arguments.config, arguments.overrides)))
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    from genreplay import config
    from genreplay.evaluation.plan import Plan, Target, evaluate, select_baselines
    from genreplay.runs import checkpoint, find, store

    overrides = [*_scenario(arguments.scenario), *arguments.overrides]
    run_id, about = None, {}
    if arguments.config is not None:
        from genreplay.build import build_world

        experiment = config.load(arguments.config, overrides)
        world, policy = build_world(experiment), None
    else:
        from genreplay.runs.policy import load_policy

        if arguments.checkpoint is not None:
            folder = Path(arguments.checkpoint)
        else:
            uri = store.store_uri(named_uri(arguments.overrides))
            folder = find.resolve_run(arguments.run, uri, checkpoint.exists, "--run")
        loaded = load_policy(folder, overrides)
        experiment, world, policy, run_id = loaded.config, loaded.world, loaded.policy, loaded.run_id
        about = {"run_id": run_id, "env_step": loaded.env_step}
    plan = Plan(
        world,
        policy,
        world.evaluation.demands(words(arguments.demand)),
        seeds(arguments.seeds),
        select_baselines(world, [] if arguments.baselines == "none" else words(arguments.baselines)),
        arguments.workers or os.cpu_count() or 1,
    )
    output = None if arguments.output is None else Path(arguments.output)
    target = Target(output, run_id, store.store_uri(experiment.tracking.uri))
    evaluate(plan, target, {**about, "config": config.to_yaml(experiment)})
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from genreplay.reporting.export import export

    print(export(policy_folder(arguments), Path(arguments.output)))
    return 0


def _render(arguments: argparse.Namespace) -> int:
    folder = policy_folder(arguments)
    from genreplay.envs.facets import FilmRequest
    from genreplay.reporting.film import render, render_synthetic

    given = {name: getattr(arguments, name) for name in FilmRequest._fields}
    print((render_synthetic if arguments.synthetic else render)(folder, given, Path(arguments.output)))
    return 0


def _report(arguments: argparse.Namespace) -> int:
    folder = policy_folder(arguments)
    from genreplay.reporting.page import write_report

    print(write_report(folder, named_uri(arguments.overrides), Path(arguments.output), arguments.film))
    return 0


def _scenario(name: str | None) -> list[str]:
    """Overrides that put another map, with its own traffic and times, in the place of the config's."""
    others = ("net_file", "route_file", "count_file", "begin_time", "episode_seconds")
    return [] if name is None else [f"env.scenario={name}", *(f"env.{key}=null" for key in others)]


def _ui(arguments: argparse.Namespace) -> NoReturn:
    from genreplay import config
    from genreplay.commands import ui
    from genreplay.runs import store

    uri = None if arguments.config is None else config.load(arguments.config, arguments.overrides).tracking.uri
    ui.serve(store.store_uri(uri or named_uri(arguments.overrides)), arguments.port)


# Arguments -----------------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """Reports mistakes as every other error is reported."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    arguments, rest = _parser().parse_known_args(argv)
    for text in rest:
        if text.startswith("-"):
            key = text.lstrip("-")
            hint = f"write {key} without dashes" if "=" in key else f"see genreplay {arguments.name} --help"
            raise UserError(f"{text}: there is no such option; {hint}")
    # argparse takes positional arguments in one run only; those after a later option end up in the rest.
    arguments.overrides = [*getattr(arguments, "overrides", []), *rest]
    return arguments


def _parser() -> _Parser:
    parser = _Parser(
        prog="genreplay",
        description="Generative experience replay for online reinforcement learning.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"genreplay {__version__}")
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND", title="commands")

    added = [add(commands) for add in (_add_fit, _add_evaluate, _add_export, _add_render, _add_report)]
    added += [other.add_parser(commands) for other in (junction, crossplay, clone)]
    for command in (*added, _add_config(commands), _add_ui(commands)):
        command.add_argument(
            "overrides",
            metavar="key=value",
            nargs="*",
            help=("options that win over the file's, such as loop.utd_ratio=10"),
        )
    return parser


def _add_fit(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    about = "Train an agent as a config file says. Ctrl-C finishes the step, saves and says how to go on."
    fit = add_command(commands, _fit, "fit", "train an agent", about)
    fit.add_argument("--config", metavar="FILE", help="the experiment; not needed with --resume")
    fit.add_argument("--resume", metavar="RUN", help="go on from a checkpoint: `last`, a run's id or name, or a folder")
    return fit


def _add_evaluate(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    about = (
        "Play a trained policy and the baselines on the very same episodes; print the delay of each demand, and keep "
        "tables and figures among the run's artifacts. See docs/evaluation.md."
    )
    evaluate = add_command(commands, _evaluate, "evaluate", "judge a policy beside baselines", about)
    whom = evaluate.add_mutually_exclusive_group(required=True)
    whom.add_argument("--run", metavar="RUN", help="the policy of a run: `last`, its id, its name, or a folder")
    whom.add_argument("--checkpoint", metavar="DIR", help="the policy in a checkpoint's folder")
    whom.add_argument("--config", metavar="FILE", help="no policy: the baselines alone, in this experiment's world")
    demand = (
        "such as 1000,1500,2600,tidal,surge,other_day (vehicles/h), or 0.75,1,1.25 (factors on a route file); "
        "default: inside and outside the range of training"
    )
    evaluate.add_argument("--demand", metavar="LIST", help=demand)
    evaluate.add_argument("--scenario", metavar="NAME", help="take this map instead of the experiment's")
    evaluate.add_argument(
        "--seeds", metavar="LIST", default="101-105", help="one episode each, for each demand; default: %(default)s"
    )
    evaluate.add_argument("--baselines", metavar="LIST", help="names, or none; default: all")
    evaluate.add_argument("--workers", metavar="N", type=number(1), help="simulators at a time; default: one a core")
    evaluate.add_argument("--output", metavar="DIR", help="keep tables and figures here too")
    return evaluate


def _add_export(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    about = "Write a policy as policy.onnx, and a card of its inputs and outputs as policy.json. See docs/deploy.md."
    export = add_command(commands, _export, "export", "write a policy as ONNX, to use without genreplay", about)
    add_policy(export)
    export.add_argument("--output", metavar="DIR", default="export", help="where to; default: %(default)s")
    return export


def _add_render(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    about = "Draw the intersection or kitchen under a trained policy, as a GIF or an MP4. See docs/pictures.md."
    render = add_command(commands, _render, "render", "film a policy at work", about)
    add_policy(render)
    render.add_argument("--demand", metavar="NAME", help="as in evaluate, such as 2000; default: the seed's own")
    beside = "show this controller beside it, on the same traffic; without a name the map's fixed plan"
    render.add_argument("--baseline", metavar="NAME", nargs="?", const="fixed_plan", help=beside)
    for option, low, text in (
        ("--seed", 0, "of the episode, or of the draw of transitions; default: 101"),
        ("--begin", 0, "show what comes after this second (Overcooked: step); default: 600 in traffic, else 0"),
        ("--seconds", 1, "how long to show it; default: 240, a whole episode of Overcooked"),
        ("--stride", 1, "seconds (steps) from one picture to the next; default: 2 in traffic, else 1"),
    ):
        render.add_argument(option, metavar="N", type=number(low), help=text)
    synthetic = "instead of the policy, show transitions that the generator made, impossible ones in red"
    render.add_argument("--synthetic", action="store_true", help=synthetic)
    render.add_argument("--output", metavar="FILE", default="render.gif", help=".gif or .mp4; default: %(default)s")
    return render


def _add_report(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    about = "Write a run's config, curves, evaluation, diagnostics and film as one HTML page. See docs/pictures.md."
    report = add_command(commands, _report, "report", "write a run as one HTML page", about)
    report.set_defaults(checkpoint=None)
    report.add_argument("--run", metavar="RUN", required=True, help="`last`, a run's id or name, or a folder")
    report.add_argument("--no-film", dest="film", action="store_false", help="leave the film out, which takes a while")
    report.add_argument("--output", metavar="FILE", default="report.html", help="where to; default: %(default)s")
    return report


def _add_config(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    about = "Print every option with the value it has in the end, as YAML."
    show = add_command(commands, _config, "config", "print the resolved config", about)
    show.add_argument("--config", metavar="FILE", required=True, help="the experiment")
    return show


def _add_ui(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    about = "Serve MLflow's UI on 127.0.0.1, on the store that the runs are in."
    ui = add_command(commands, _ui, "ui", "look at the runs in the browser", about)
    ui.add_argument("--config", metavar="FILE", help="take tracking.uri from this file")
    ui.add_argument("--port", type=int, default=5000, help="default: %(default)s")
    return ui
