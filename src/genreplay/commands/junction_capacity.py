"""The part of `genreplay junction` about capacity: each movement under the map's plan, and what a fixed plan carries.

Shapes: M movements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from genreplay.envs.sumo.baselines.webster import FixedPlan
    from genreplay.envs.sumo.network.intersection import Intersection
    from genreplay.envs.sumo.traffic.demand import Segment

NEAR = 0.85
"""Volume-to-capacity ratio from which on queues of random traffic outlast cycles (HCM: "near capacity")."""


def show_movements(intersection: Intersection, console: Console) -> None:
    """Each movement with its capacity under the map's plan where there is no traffic."""
    from genreplay.envs.sumo.baselines.webster import map_greens
    from genreplay.envs.sumo.capacity.cycle import capacity_alone
    from genreplay.envs.sumo.capacity.ways import read_ways, states_of

    plan = intersection.plan
    alone = capacity_alone(read_ways(intersection), states_of(plan, map_greens(plan)))
    cells = [f"{value:.0f}" if m.has_cars else "-" for value, m in zip(alone, intersection.movements, strict=True)]
    _table(intersection, {"capacity alone,\nvehicles/h": cells}, console)
    console.print(
        "Capacity is that of the map's plan for one movement without any other traffic; with --counts or --routes it "
        "is that in their traffic. (Stages) in which it gives way stand in brackets."
    )


def show_load(intersection: Intersection, segments: list[Segment], pedestrians: float, console: Console) -> None:
    """Each movement in the hardest interval under the map's plan, and the fixed plan that carries most of it.

    Args:
        intersection: the junction.
        segments: its expected traffic.
        pedestrians: on each crossing, an hour.
        console: to print on.
    """
    from genreplay.envs.sumo.baselines.webster import LONGEST_CYCLE, Traffic, evaluate, map_greens, split, webster
    from genreplay.envs.sumo.capacity.ways import read_ways
    from genreplay.envs.sumo.signals.programme import KINDS
    from genreplay.envs.sumo.traffic.counts import clock

    plan, ways = intersection.plan, read_ways(intersection)
    traffics = [Traffic(part.flows, part.end - part.begin, pedestrians) for part in segments]
    hardness = [split(ways, plan, traffic, LONGEST_CYCLE).saturation for traffic in traffics]
    worst = hardness.index(max(hardness))
    own = evaluate(ways, plan, map_greens(plan), traffics[worst])
    best = webster(ways, plan, traffics[worst])
    _table(intersection, _columns(segments, worst, own), console)
    console.print(
        "Flow, capacity, volume-to-capacity ratio, control delay and level of service (HCM) are those of the hardest "
        "interval under the map's plan. (Stages) in which a movement gives way stand in brackets."
    )
    part = segments[worst]
    console.print(
        f"The hardest time is {clock(part.begin)} to {clock(part.end)}: {part.vehicles:.0f} vehicles/h over the light. "
        f"The map's {KINDS[plan.kind]} plan, with C = {own.cycle} s: {own.saturation:.2f} of the capacity of its "
        "fullest lane."
    )
    greens = ", ".join(str(green) for green in best.greens)
    console.print(
        f"The best fixed plan, with greens of {greens} s: critical flow ratios {best.flow_ratio:.2f} of at most "
        f"(C - L) / C = {best.limit:.2f} with L = {best.lost_time} s and C = {best.cycle} s; {best.saturation:.2f} of "
        f"the capacity of its fullest lane ({verdict(best.saturation)})."
    )
    if ways.gives_way_to_walk.any():
        console.print(
            f"Turns give way to {pedestrians:.0f} pedestrians an hour on each crossing; set another number with "
            "--pedestrians"
        )


def verdict(saturation: float) -> str:
    """What a volume-to-capacity ratio of the fullest lane means."""
    if saturation > 1.0:
        return "more than any fixed plan carries: queues will grow"
    if saturation > NEAR:
        return "a fixed plan can just carry that: queues will outlast cycles"
    return "a fixed plan can carry that"


def _columns(segments: list[Segment], worst: int, own: FixedPlan) -> dict[str, list[str]]:
    from genreplay.envs.sumo.level_of_service import level_of_service
    from genreplay.envs.sumo.traffic.demand import mean_flows

    hours = (segments[-1].end - segments[0].begin) / 3600.0
    flows, load = segments[worst].flows, own.load
    used = [(flow, float(x), float(delay)) for flow, x, delay in zip(flows, load.saturation, load.delay, strict=True)]
    return {
        "vehicles": [f"{flow * hours:.0f}" for flow in mean_flows(segments)],
        "flow,\nvehicles/h": [f"{flow:.0f}" for flow in flows],
        "capacity,\nvehicles/h": [f"{flow / x:.0f}" if flow > 0 and x > 0 else "-" for flow, x, _ in used],
        "v/c": [f"{x:.2f}" if flow > 0 else "-" for flow, x, _ in used],
        "delay, s": [f"{delay:.0f}" if flow > 0 else "-" for flow, _, delay in used],
        "LOS": [level_of_service(delay, x) if flow > 0 else "-" for flow, x, delay in used],
    }


def _table(intersection: Intersection, columns: dict[str, list[str]], console: Console) -> None:
    from rich.table import Table

    from genreplay.envs.sumo.capacity.ways import RIGHT_OF_WAY
    from genreplay.envs.sumo.signals.plan import SERVED
    from genreplay.envs.sumo.traffic.counts import heading

    table = Table(box=None)
    table.add_column("movement", no_wrap=True)
    for header in ("turn", "green in stages", "right of way"):
        table.add_column(header)
    for header in columns:
        table.add_column(header, justify="right")
    for i, movement in enumerate(intersection.movements):
        links = [link.index for link in intersection.links if link.movement == i]
        states = [{stage.state[link] for link in links} & SERVED for stage in intersection.plan.stages]
        has_way = [bool(state & set(RIGHT_OF_WAY)) for state in states]
        stages = [
            str(p) if has else f"({p})" for p, (state, has) in enumerate(zip(states, has_way, strict=True)) if state
        ]
        kinds = {"protected" if has else "permissive" for state, has in zip(states, has_way, strict=True) if state}
        kind = ", ".join(sorted(kinds, reverse=True))
        table.add_row(heading(movement), movement.turn, " ".join(stages), kind, *(c[i] for c in columns.values()))
    console.print(table)
