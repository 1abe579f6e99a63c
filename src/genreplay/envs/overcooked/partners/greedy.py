"""overcooked-ai's scripted cook as a partner, with the episode's random numbers.

Shapes: n kitchens, C columns of the code, A actions, G goals.
"""

from __future__ import annotations

from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from genreplay.common.errors import UserError
from genreplay.envs.overcooked.kitchen.package import gridworld, overcooked
from genreplay.envs.overcooked.kitchen.rules import NUM_ACTIONS, STAY, Kitchen
from genreplay.envs.overcooked.kitchen.state_code import CELL, DIRECTION, PLAYER_COLUMNS
from genreplay.envs.overcooked.partners.base import Partner, PartnerInput, choose

CACHE_SIZE = 100_000
"""States remembered, about 0.5 kB each."""
STATIONS = "ODP"
"""Where it goes when it has nothing better to do, as in the package."""
POSES = [CELL, DIRECTION, PLAYER_COLUMNS + CELL, PLAYER_COLUMNS + DIRECTION]


class NothingInReach(Exception):
    """The cook can reach neither what it wants nor any station."""


class GreedyPartner(Partner):
    """`GreedyHumanModel` of overcooked-ai: takes the shortest path to the best goal.

    With softness s it is Boltzmann rational at both of the package's levels, at its `hl_temp = ll_temp = 1 / s` (the
    package's temperatures are inverse): a goal at distance d is taken with probability ~ exp(-d / s), and so is each
    step of the turn on the spot before it. Both choices make one distribution over actions. As in the package,
    where neither cook moved or turned in the last step, it samples among the steps that would move it.

    The package would plan for pairs of cooks too, which takes minutes, and keep its plans as pickles; this model uses
    the single cook's plans alone, which are computed anew (below a second on most layouts) and never stored. A cook who
    can reach nothing that it has a use for stays; the package fails there.

    Args:
        kitchen: its rules.
        softness: 0 for the shortest way always; in steps.

    Raises:
        UserError: this kitchen has no order for soups of three onions, the only ones that it cooks.
    """

    def __init__(self, kitchen: Kitchen, softness: float = 0.0):
        if not kitchen.code.kitchen.values[2]:
            raise UserError(
                f"env.partners: greedy makes soups of three onions, which {kitchen.code.kitchen.name} has no order "
                "for; choose another partner or layout"
            )
        self._kitchen, self._softness = kitchen, softness
        self._mdp = gridworld(kitchen.code.kitchen, kitchen.dynamics)
        manager = _manager_class()(self._mdp)
        self._models = [overcooked("agents.agent").GreedyHumanModel(manager) for _ in range(2)]
        for seat, model in enumerate(self._models):
            model.set_agent_index(seat)
        self._cached = lru_cache(maxsize=CACHE_SIZE)(self._compute)

    def act(self, seen: PartnerInput) -> np.ndarray:
        """Its actions `[n]`."""
        weights, stuck = self._weigh(seen)
        return choose(weights, np.where(stuck, seen.uniforms[:, 1], seen.uniforms[:, 0]))

    def action_probabilities(self, seen: PartnerInput) -> np.ndarray:
        """`[n, A]`, where it is stuck too."""
        weights, _ = self._weigh(seen)
        return weights / weights.sum(axis=1, keepdims=True)

    def probabilities(self, code: np.ndarray, seat: int) -> np.ndarray:
        """`[A]`: of each action in the state `code` `[C]`, where it is not stuck."""
        return self._cached(np.ascontiguousarray(code, dtype=np.int64).tobytes(), seat)

    def _weigh(self, seen: PartnerInput) -> tuple[np.ndarray, np.ndarray]:
        """Weights `[n, A]` of its actions, and where it is stuck `[n]`."""
        known = [self._cached(code.tobytes(), int(s)) for code, s in zip(seen.codes, seen.seats, strict=True)]
        weights, stuck = np.stack(known), (seen.codes[:, POSES] == seen.previous[:, POSES]).all(axis=1)
        if stuck.any():
            weights[stuck] = self._moves(seen.codes[stuck], seen.seats[stuck])
        return weights, stuck

    def _compute(self, state: bytes, seat: int) -> np.ndarray:
        recipes, model = overcooked("mdp.overcooked_mdp").Recipe, self._models[seat]
        # Recipes are global in the package, and another kitchen may have been made since.
        recipes.configure(self._mdp.recipe_config)
        state_now = self._kitchen.code.decode(np.frombuffer(state, dtype=np.int64))
        # The model requires this one order, the only one that it would cook anyway.
        state_now._all_orders = [recipes(["onion"] * 3)]
        try:
            pose, goals = state_now.players_pos_and_or[seat], model.ml_action(state_now)
        except NothingInReach:
            return np.eye(NUM_ACTIONS)[STAY]
        numbers = overcooked("mdp.actions").Action.ACTION_TO_INDEX
        plans = [model.mlam.motion_planner.get_plan(pose, goal) for goal in goals]
        out = np.zeros(NUM_ACTIONS)
        for goal, plan, share in zip(goals, plans, self._boltzmann([cost for *_, cost in plans]), strict=True):
            if self._softness and goal[0] == pose[0]:
                out += share * self._turn(model, pose, goal)
            else:
                out[numbers[plan[0][0]]] += share
        return out

    def _turn(self, model: Any, pose: Any, goal: Any) -> np.ndarray:
        """`[A]`: its action next to its goal (`boltzmann_rational_ll_action`)."""
        actions = overcooked("mdp.actions").Action.INDEX_TO_ACTION
        after = [self._mdp._move_if_direction(*pose, action) for action in actions]
        return self._boltzmann([model.mlam.motion_planner.get_plan(there, goal)[2] for there in after])

    def _boltzmann(self, costs: list[float]) -> np.ndarray:
        """`[G]`: shares of choices by their cost in steps; all for the first of the cheapest at softness 0."""
        if not self._softness:
            return np.eye(len(costs))[int(np.argmin(costs))]
        shares = np.exp((min(costs) - np.array(costs)) / self._softness)
        return shares / shares.sum()

    def _moves(self, codes: np.ndarray, seats: np.ndarray) -> np.ndarray:
        """`[n, A]`: which actions move it if the other cook stays; STAY where none does."""
        rows = np.arange(len(codes)).repeat(NUM_ACTIONS)
        joint = np.full((len(rows), 2), STAY)
        joint[np.arange(len(rows)), seats[rows]] = np.tile(np.arange(NUM_ACTIONS), len(codes))
        following, _ = self._kitchen.step(codes[rows], joint)
        cells = [CELL, PLAYER_COLUMNS + CELL]
        moves = (following[:, cells] != codes[rows][:, cells]).any(axis=1).reshape(-1, NUM_ACTIONS)
        moves[~moves.any(axis=1), STAY] = True
        return moves


@cache
def _manager_class() -> type:
    """The package's manager of goals without its joint plans, which the greedy model never uses."""
    planners = overcooked("planning.planners")

    class Manager(planners.MediumLevelActionManager):  # type: ignore[name-defined]
        def __init__(self, mdp: Any):
            self.mdp, self.params = mdp, planners.NO_COUNTERS_PARAMS
            self.motion_planner = planners.MotionPlanner(mdp, [])
            self.joint_motion_planner = SimpleNamespace(motion_planner=self.motion_planner)

        def go_to_closest_feature_actions(self, player: Any) -> Any:
            stations = [cell for kind in STATIONS for cell in self.mdp.terrain_pos_dict[kind]]
            if not np.isfinite(self.motion_planner.min_cost_to_feature(player.pos_and_or, stations)):
                raise NothingInReach
            return super().go_to_closest_feature_actions(player)

    return Manager
