"""Signal plans for tests: made up, or read from a map."""

from pathlib import Path

from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.signals.build import read_plan
from genreplay.envs.sumo.signals.plan import SignalPlan, Stage, Step
from genreplay.envs.sumo.signals.timing import Timing
from tests.helpers.paths import REPOSITORY

MAPS = REPOSITORY / "tests/data/signals"


def plan_of(num_stages: int, bounds: tuple[int, int] = (5, 45), yellow: int = 3, all_red: int = 1, max_red: int = 300):
    """A plan in which each link has green in one stage alone."""
    states = ["".join("G" if i == p else "r" for i in range(num_stages)) for p in range(num_stages)]
    stages = tuple(Stage(state, *bounds, 20) for state in states)
    red = "r" * num_stages
    transitions = tuple(
        tuple(
            () if i == j else tuple(Step(s, t) for s, t in ((a.replace("G", "y"), yellow), (red, all_red)) if t)
            for j in range(num_stages)
        )
        for i, a in enumerate(states)
    )
    cycle = num_stages * (20 + yellow + all_red)
    return SignalPlan("t", "0", "static", stages, transitions, frozenset(), yellow, all_red, cycle, max_red)


def timing_of_plan(mode: str = "phase_duration", num_stages: int = 3, **changes) -> Timing:
    """Bounds of such a plan."""
    return Timing(mode, plan_of(num_stages, **changes))


def map_plan(name: str, light: str = "C", **options) -> SignalPlan:
    """The plan of one of the maps in tests/data/signals."""
    return read_plan(Path(MAPS, f"{name}.net.xml"), light, SumoConfig(**options))
