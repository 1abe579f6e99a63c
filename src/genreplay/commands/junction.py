"""The command `genreplay junction`: check a map and its traffic, and show the light's movements and capacity."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from genreplay.commands.options import add_command, amount, refuse_overrides
from genreplay.common.errors import UserError
from genreplay.envs.sumo.config import SumoConfig

if TYPE_CHECKING:
    from rich.console import Console

    from genreplay.envs.sumo.network.intersection import Intersection
    from genreplay.envs.sumo.signals.plan import SignalPlan

SCREEN_WIDTH = 160
"""Columns where the output is no terminal."""
SHORT_ROAD = 50.0
"""Below it a queue soon reaches the end of the road, m."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """The command's options."""
    about = "Check a map of your own and its traffic; show the light's movements and capacity. See docs/traffic.md."
    command = add_command(commands, run, "check your own map", about)
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--net", metavar="FILE", help="a SUMO network (.net.xml) with one traffic light")
    which.add_argument("--config", metavar="FILE", help="the experiment that names map and traffic")
    traffic = command.add_mutually_exclusive_group()
    traffic.add_argument("--routes", metavar="FILE", help="check this route file (.rou.xml) too")
    traffic.add_argument("--counts", metavar="FILE", help="check this count table (.csv) too")
    command.add_argument(
        "--pedestrians",
        metavar="N",
        type=amount,
        default=0.0,
        help="on each crossing, an hour, for capacity; default: 0",
    )
    traffic.add_argument("--counts-template", metavar="FILE", help="write an empty count table to fill in")


def run(arguments: argparse.Namespace) -> int:
    """Check and print; the exit status."""
    config = _config(arguments)
    from rich.console import Console

    from genreplay.commands.junction_capacity import show_load, show_movements
    from genreplay.envs.sumo.network.intersection import read_intersection
    from genreplay.envs.sumo.traffic.checks import check_traffic, simulate
    from genreplay.envs.sumo.traffic.counts import write_template
    from genreplay.envs.sumo.traffic.scenarios import resolve

    scenario = resolve(config)
    intersection = read_intersection(scenario.net_file, config)
    demand = check_traffic(config, scenario, intersection)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=SCREEN_WIDTH)
    _show_light(intersection, scenario.net_file, console)
    if scenario.is_given:
        show_load(intersection, demand.expected(), arguments.pedestrians, console)
    else:
        show_movements(intersection, console)
    if scenario.route_files:
        answer = simulate(demand)
        if answer.error:
            raise UserError(f"env.route_file: SUMO ends the episode: {answer.error}")
        console.print(
            f"SUMO lets in {answer.num_vehicles} vehicles and {answer.num_persons} persons in an episode under the "
            "map's plan."
        )
        for notice in answer.notices:
            console.print(notice, markup=False)
    if arguments.counts_template is not None:
        write_template(Path(arguments.counts_template), intersection.movements)
        console.print(f"wrote {arguments.counts_template}: fill in the counts, then check them with --counts")
    return 0


def _config(arguments: argparse.Namespace) -> SumoConfig:
    from genreplay import config

    if arguments.config is None:
        refuse_overrides(arguments.overrides, "on --net, which takes options of env alone; leave it out", but="env.")
        named = {"net_file": arguments.net, "route_file": arguments.routes, "count_file": arguments.counts}
        options = {"env": {key: value for key, value in named.items() if value is not None}}
        env = config.from_tree(options, "--net", arguments.overrides).env
    else:
        env = config.load(arguments.config, arguments.overrides).env
    if not isinstance(env, SumoConfig):
        raise UserError(
            f"{arguments.config or '--net'}: env.name is {env.name!r}, which has no junction; set env.name: sumo"
        )
    named = arguments.routes or arguments.counts
    return replace(env, route_file=arguments.routes, count_file=arguments.counts) if named else env


def _show_light(intersection: Intersection, net_file: Path, console: Console) -> None:
    from rich.table import Table

    from genreplay.envs.sumo.network.net_file import read_net
    from genreplay.envs.sumo.signals.programme import KINDS, read_signal

    plan = intersection.plan
    console.print(
        f"{net_file.name}: the light {plan.light!r} has {len(plan.stages)} stages in its {KINDS[plan.kind]} programme "
        f"{plan.programme!r} of {plan.cycle_seconds} s; yellow {plan.yellow_time} s, all-red {plan.all_red_time} s; "
        f"nobody waits longer than {plan.max_red} s for green"
    )
    others = [p.name for p in read_signal(net_file, plan.light).programmes if p.name != plan.programme]
    if others:
        console.print(f"It has other programmes too: {', '.join(map(repr, others))}; choose one with env.programme")
    _show_stages(plan, console)
    net = read_net(net_file)
    table = Table(box=None)
    table.add_column("approach", no_wrap=True)
    for header in ("lanes", "road, m"):
        table.add_column(header, justify="right")
    for approach, entry in zip(intersection.approaches, intersection.entries, strict=True):
        lanes = {link.from_lane for link in intersection.links}
        num_lanes = sum(lane.getID() in lanes for lane in net.getEdge(approach.name).getLanes())
        metres = sum(net.getEdge(edge).getLength() for edge in entry)
        note = " (short: map more of it)" if metres < SHORT_ROAD else ""
        table.add_row(approach.name, str(num_lanes), f"{metres:.0f}{note}")
    console.print(table)


def _show_stages(plan: SignalPlan, console: Console) -> None:
    """Each stage with its bounds, and the seconds from its green to each other one's."""
    from rich.table import Table

    table = Table(box=None)
    table.add_column("stage", justify="right")
    table.add_column("links", no_wrap=True)
    for header in ("green, s", "shortest, s", "longest, s"):
        table.add_column(header, justify="right")
    table.add_column("intergreen to stage 0, 1, ..., s")
    for number, stage in enumerate(plan.stages):
        walk = " (walk)" if stage.has_walk else ""
        gaps = " ".join("-" if i == number else str(s) for i, s in enumerate(plan.intergreen[number].tolist()))
        bounds = (stage.green_seconds, stage.min_green, stage.max_green)
        table.add_row(str(number), f"{stage.state}{walk}", *map(str, bounds), gaps)
    console.print(table)
