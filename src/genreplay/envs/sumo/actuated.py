"""Actuated greens: an action says which stage comes next, at most how long, and from how far a vehicle prolongs it.

The green ends by itself, as in a street cabinet, so its duration is an outcome of the traffic: an option with its own
end (Sutton, Precup and Singh, 1999, "Between MDPs and semi-MDPs"). `signals.timing.NUMBERS` has the entries' order.

Shapes: N rows, A action.
"""

from __future__ import annotations

from collections.abc import Collection

from genreplay.envs.sumo.actions import Array
from genreplay.envs.sumo.baselines.cabinet import ZONE
from genreplay.envs.sumo.signals.plan import SignalPlan

REACH = 1
"""Place of the reach in an action, after the longest green and before the one-hot stage."""
REACH_FACTOR = 3.0
"""The reach is `ZONE` metres at entry 0, so many times as long at 1, and so many times as short at -1."""


def reach_metres(action: Array) -> Array:
    """From how far before the stop line a vehicle prolongs the green, m, `[N]` from actions `[N, A]`."""
    return ZONE * REACH_FACTOR ** action[:, REACH].clip(-1.0, 1.0)


def goes_on(
    plan: SignalPlan, stage: int, coming: Collection[tuple[int, float]], walkers: Collection[int], reach: float
) -> bool:
    """Whether a green that has lasted its shortest time goes on: it is used, or nobody calls another stage.

    Links that every stage serves, such as slip lanes, prolong no green; those that no stage serves call none.

    Args:
        plan: of the light.
        stage: shown.
        coming: the link that each approaching vehicle takes next, and its distance to the stop line, m; at least up to
            `reach` and `ZONE`.
        walkers: links of crossings that somebody waits for.
        reach: a vehicle this near prolongs the green, m; one within `ZONE` calls its link.
    """
    is_served, is_always, is_ever = plan.served[stage], plan.served.min(axis=0), plan.served.max(axis=0)
    if any(metres <= reach and is_served[link] and not is_always[link] for link, metres in coming):
        return True
    calling = {link for link, metres in coming if metres <= ZONE} | set(walkers)
    return not any(is_ever[link] and not is_served[link] for link in calling)
