"""How synthetic transitions come from a fitted generator: whole ones, or real states with other actions.

Shapes: N real transitions, n synthetic ones, D columns.

`generated`: the generator draws whole transitions, as in SynthER and PGR. `counterfactual`: real states, actions drawn
anew by the current policy, and what the generator says follows. `oracle`: the same with the simulator's answer: no
method, but the bound of one that makes no mistakes, to measure others against.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from tensordict import TensorDict, TensorDictBase
from torch import Tensor

from genreplay.agents.base import EnsembleAgent
from genreplay.envs.base import World
from genreplay.generators.base import Sampled
from genreplay.generators.factorised import FactorisedGenerator
from genreplay.schema import SynthesisConfig
from genreplay.seeding import derive_seed
from genreplay.team import Team
from genreplay.transition import ACTION, IS_SYNTHETIC, Codec


class Synthetic(NamedTuple):
    """What came of one drawing."""

    rows: Tensor
    """`[n, D]`, as the generator drew them, before the codec makes them valid."""
    transitions: TensorDict
    """`[n]`."""
    metrics: dict[str, float]
    """`kept`: share of the drawn rows; where the generator judges its rows also the means of `confidence` and
    `agreement` over all that were drawn."""


class Synthesis:
    """Draws synthetic transitions and keeps those that the generator is sure of.

    Args:
        config: its options.
        codec: that the generator was fitted through.
        agent: whose policy draws new actions.
        world: whose simulator the oracle asks.
    """

    def __init__(self, config: SynthesisConfig, codec: Codec, agent: EnsembleAgent, world: World):
        self.config, self.codec, self.agent, self.world = config, codec, agent, world

    def draw(self, team: Team, real: TensorDictBase, prompts: Tensor | None, num_rows: int, seed: int) -> Synthetic:
        """Draw `num_rows` transitions; what is kept may be fewer, or none.

        Args:
            team: with the fitted generator.
            real: all real transitions `[N]`.
            prompts: relevance to generate at, `[num_rows, 1]`; None without relevance.
            num_rows: how many to draw.
            seed: of everything random.
        """
        if self.config.source == "oracle":
            return self._ask_simulator(self._begin(real, num_rows, seed))
        if self.config.source == "generated":
            sampled = team.sample(num_rows, prompts, seed)
        else:
            assert isinstance(team.generator, FactorisedGenerator), "build refuses other generators"
            sampled = team.generator.complete(self.codec.encode(self._begin(real, num_rows, seed)), seed)
        kept, metrics = self._keep(sampled)
        return Synthetic(sampled.rows[kept], self.codec.decode(sampled.rows[kept]), metrics)

    def _begin(self, real: TensorDictBase, num_rows: int, seed: int) -> TensorDict:
        """Real states `[num_rows]`, drawn with replacement, with actions that the policy draws in them now."""
        rng = torch.Generator(real[ACTION].device).manual_seed(derive_seed(seed, "counterfactuals"))
        places = torch.randint(len(real), (num_rows,), generator=rng, device=rng.device)
        begun = real[places].clone()
        begun.set(ACTION, self.agent.redraw(begun, rng))
        return begun

    def _ask_simulator(self, begun: TensorDict) -> Synthetic:
        answer = self.world.simulate(begun)
        assert answer is not None, "build refuses an oracle in a world that cannot simulate"
        begun = begun.update(answer.select(*begun.keys(include_nested=True, leaves_only=True), strict=False))
        begun.set(IS_SYNTHETIC, torch.ones_like(begun[IS_SYNTHETIC]))
        return Synthetic(self.codec.encode(begun), begun, {"kept": 1.0})

    def _keep(self, sampled: Sampled) -> tuple[Tensor, dict[str, float]]:
        """Which rows the generator is sure enough of, `[n]`, and figures of all."""
        config, confidence, agree = self.config, sampled.confidence, sampled.agree
        kept = torch.ones(len(sampled.rows), dtype=torch.bool, device=sampled.rows.device)
        if confidence is None or agree is None:
            return kept, {"kept": 1.0}
        kept = confidence.view(-1) >= config.min_confidence
        if config.require_agreement:
            kept &= agree.view(-1)
        metrics = {"kept": kept, "confidence": confidence, "agreement": agree}
        return kept, {name: float(value.float().mean()) for name, value in metrics.items()}
