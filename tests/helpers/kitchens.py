"""Overcooked kitchens beside the package's own simulator."""

import numpy as np

from genreplay.common.errors import UserError
from genreplay.envs.overcooked.kitchen.kitchen_map import read_layout, shipped_layouts
from genreplay.envs.overcooked.kitchen.package import gridworld, overcooked
from genreplay.envs.overcooked.kitchen.rules import Kitchen

HUMAN_LAYOUTS = (
    "cramped_room",
    "asymmetric_advantages",
    "coordination_ring",
    "forced_coordination",
    "counter_circuit_o_1order",
)


def supported() -> list[tuple[str, str]]:
    """Every shipped layout that can be played, under each dynamics that its orders allow."""
    found = []
    for name in shipped_layouts():
        for dynamics in ("old", "new"):
            try:
                Kitchen(read_layout(name), dynamics)
            except UserError:
                continue
            found.append((name, dynamics))
    return found


class Package:
    """overcooked-ai's simulator of one kitchen, on codes."""

    def __init__(self, kitchen: Kitchen):
        self.code = kitchen.code
        self.mdp = gridworld(kitchen.code.kitchen, kitchen.dynamics)
        self.actions = overcooked("mdp.actions").Action.INDEX_TO_ACTION

    def step(self, code: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Next code, sparse and shaped reward by cook."""
        state = self.code.decode(code)
        following, info = self.mdp.get_state_transition(state, [self.actions[a] for a in actions])
        return (
            self.code.encode(following),
            np.array(info["sparse_reward_by_agent"]),
            np.array(info["shaped_reward_by_agent"]),
        )


def assert_same_step(kitchen: Kitchen, package: Package, codes: np.ndarray, actions: np.ndarray) -> None:
    """The batched step of all of `codes` is the package's of each."""
    following, events = kitchen.step(codes, actions)
    for i in range(len(codes)):
        expected, sparse, shaped = package.step(codes[i], actions[i])
        assert expected.tolist() == following[i].tolist(), (codes[i], actions[i])
        assert sparse.tolist() == kitchen.sparse_rewards[events[i]].tolist(), (codes[i], actions[i])
        assert shaped.tolist() == kitchen.shaped_rewards[events[i]].tolist(), (codes[i], actions[i])
