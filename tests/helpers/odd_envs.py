"""Small Gymnasium environments with awkward traits; ids begin with `tests.helpers.odd_envs:`."""

import sys
import time

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete


class Base(gym.Env):
    observation_space = Box(-10.0, 10.0, (3,), np.float32)
    action_space = Box(-1.0, 1.0, (1,), np.float32)
    length = 20

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        self.number = getattr(self, "number", -1) + 1
        return self.observe(), {}

    def observe(self):
        return np.array([self.number % 10, self.t / 10, 0.5], np.float32)

    def reward(self, action):
        return 1.0 - float(np.sum(np.square(action)))

    def step(self, action):
        self.t += 1
        return self.observe(), self.reward(action), False, False, {}


class NanReward(Base):
    def reward(self, action):
        return float("nan") if self.t == 7 else 1.0


class NanObs(Base):
    def observe(self):
        return np.array([self.t, np.nan if self.t == 7 else 0.0, 0.0], np.float32)


class InfReward(Base):
    def reward(self, action):
        return float("inf") if self.t == 7 else 1.0


class ConstantWorld(Base):
    """Neither state nor reward ever changes."""

    def observe(self):
        return np.full(3, 0.5, np.float32)

    def reward(self, action):
        return 0.0


class HugeObs(Base):
    observation_space = Box(-np.inf, np.inf, (3,), np.float64)

    def observe(self):
        return np.array([1e9 + self.t, 1e-9 * self.t, 1e30 if self.t % 2 else -1e30])


class StrictAction(Base):
    """Refuses an action that is a rounding error out of bounds."""

    action_space = Box(np.array([-0.1, 0.1]), np.array([0.2, 0.7]), dtype=np.float64)

    def step(self, action):
        assert self.action_space.contains(action), f"{action!r} is outside of {self.action_space}"
        return super().step(action)


class IntAction(Base):
    action_space = Box(0, 10, (2,), np.int64)

    def step(self, action):
        assert self.action_space.contains(action), action
        return super().step(action)


class Both(Base):
    """Ends and is cut off at the same step."""

    def step(self, action):
        o, r, _, _, i = super().step(action)
        return o, np.array([r], np.float32), np.bool_(self.t >= 10), np.bool_(self.t >= 10), i


class Counting(Base):
    """Observes which episode this is and which step: rows of replay can be checked by eye."""

    observation_space = Box(-1.0, 1e6, (2,), np.float32)

    def observe(self):
        return np.array([self.number, self.t], np.float32)

    def step(self, action):
        o, r, _, _, i = super().step(action)
        return o, r, self.t >= 9 and self.number % 2 == 0, False, i


class DictObs(Base):
    observation_space = Dict({"a": Box(-1, 1, (2,), np.float32), "b": Discrete(3)})


class DiscreteAct(Base):
    action_space = Discrete(4)


class MultiDiscreteAct(Base):
    action_space = MultiDiscrete([3, 2])


class MatrixAct(Base):
    action_space = Box(-1, 1, (2, 2), np.float32)


class HalfBounded(Base):
    action_space = Box(np.array([-1.0, 0.0], np.float32), np.array([1.0, np.inf], np.float32))


class ImageObs(Base):
    observation_space = Box(0, 255, (8, 8, 3), np.uint8)


class FixedDim(Base):
    """One action entry cannot move."""

    action_space = Box(np.array([-1.0, 0.3], np.float32), np.array([1.0, 0.3], np.float32))


class WrongShape(Base):
    """Observes something else than its space says."""

    def observe(self):
        return np.zeros(4, np.float32)


class Raises(Base):
    def step(self, action):
        if self.t == 12:
            raise RuntimeError("the physics engine gave up")
        return super().step(action)


class Exits(Base):
    def step(self, action):
        if self.t == 12:
            sys.exit(3)
        return super().step(action)


class GivesNone(Base):
    def step(self, action):
        return None if self.t == 12 else super().step(action)


class Hangs(Base):
    """For an hour, and not to be talked out of it."""

    def step(self, action):
        end = time.monotonic() + 3600
        while self.t == 12 and time.monotonic() < end:
            try:
                time.sleep(0.01)
            except Exception:
                continue
        return super().step(action)


class WrongNow(Base):
    """Is wrong in its second episode alone."""

    def reward(self, action):
        return float("nan") if self.number == 2 and self.t == 5 else 1.0


class ReusedArray(Base):
    """Gives the same array each time and changes it in place."""

    observation_space = Box(-1.0, 1e6, (2,), np.float32)
    buffer = None

    def observe(self):
        if self.buffer is None:
            self.buffer = np.zeros(2, np.float32)
        self.buffer[:] = self.number, self.t
        return self.buffer


for name, cls in list(globals().items()):
    if isinstance(cls, type) and issubclass(cls, Base):
        gym.register(f"{name}-v0", entry_point=cls, max_episode_steps=None if name == "Base" else cls.length)
