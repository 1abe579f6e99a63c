"""How synthetic transitions come from a fitted generator: whole ones, or real states with other actions.

Shapes: N real transitions, n synthetic ones, D columns.

`generated`: the generator draws whole transitions, as in SynthER and PGR. `counterfactual`: real states, actions drawn
anew by the current policy, and what the generator says follows; with a `rollout_length` above 1 that state is where the
policy acts next, and so on (branched rollouts: Janner et al., 2019, "When to Trust Your Model", algorithm 2). `oracle`:
the same with the simulator's answer: no method, but the bound of one that makes no mistakes, to measure others against.

Relevance steers all three alike, by the most relevant real transitions: generated ones are prompted with their
relevance (Wang et al., 2025, section 4.2), counterfactuals begin in their states.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from tensordict import TensorDict, TensorDictBase
from torch import Tensor
from torch.nn.functional import one_hot

from genreplay.agents.base import EnsembleAgent
from genreplay.agents.discrete.actor import sample_categorical
from genreplay.common.seeding import derive_seed
from genreplay.config.schema import SynthesisConfig
from genreplay.envs.world import World
from genreplay.generators.base import Sampled
from genreplay.generators.discrete.partner_model import virtual_action_probabilities
from genreplay.generators.distributed.team import Team
from genreplay.transitions.codec import Codec
from genreplay.transitions.keys import ACTION, IS_SYNTHETIC, LEARNER, NEXT_OBSERVATION, OBSERVATION, PARTNER, TERMINATED
from genreplay.transitions.seats import swap_seats


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
        seats = world.layout.seats
        self._partners = seats is not None and seats.learners != "both"

    def training_rows(self, real: TensorDictBase, relevance: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What the generator is fitted to: rows `[n, D]` of real transitions `[N]`, and how relevant each is `[n, 1]`.

        With `swap_seats` every joint transition counts twice, as either player sees it.
        """
        rows, seats = self.codec.encode(real), self.codec.layout.seats
        if not self.config.swap_seats or seats is None:
            return rows, relevance
        rows = torch.cat([rows, self.codec.encode(swap_seats(real, seats))])
        return rows, None if relevance is None else torch.cat([relevance, relevance])

    def draw(self, team: Team, real: TensorDictBase, relevance: Tensor | None, num_rows: int, seed: int) -> Synthetic:
        """Draw `num_rows` transitions; what is kept may be fewer, or none.

        Args:
            team: with the fitted generator.
            real: all real transitions `[N]`.
            relevance: of each `[N, 1]`; None where nothing steers.
            num_rows: how many to draw.
            seed: of everything random.
        """
        if self.config.source == "generated":
            fraction = team.generator.config.sampler.prompt_top_fraction
            prompts = None if relevance is None else draw_prompts(relevance, num_rows, fraction, seed)
            sampled = team.sample(num_rows, prompts, seed)
        else:
            if relevance is not None:
                real = real[most_relevant(relevance, team.generator.config.sampler.prompt_top_fraction).to(real.device)]
            return self._roll_out(team, real, num_rows, seed)
        return self._kept(sampled)

    def _roll_out(self, team: Team, real: TensorDictBase, num_rows: int, seed: int) -> Synthetic:
        """What is kept of `num_rows` rows of rollouts that begin in states of `real`, drawn with replacement.

        A rollout ends after `rollout_length` steps, at a row that is not kept, and where the world ends; a new one then
        takes its place.
        """
        rng = torch.Generator(real[ACTION].device).manual_seed(derive_seed(seed, "counterfactuals"))
        num_rollouts = -(-num_rows // self.config.rollout_length)
        begun: TensorDictBase = real[:0]
        steps = list[Synthetic]()
        for _ in range(self.config.rollout_length):
            going_on = len(begun)
            places = torch.randint(len(real), (num_rollouts - going_on,), generator=rng, device=rng.device)
            begun = TensorDict.cat([begun, real[places]])
            begun.set(ACTION, self.agent.resample_actions(begun, rng))
            if going_on and self._partners:
                self._play_partners(team, begun[:going_on], rng)
            if self.config.source == "oracle":
                steps.append(self._ask_simulator(begun))
            else:
                assert team.generator.step_model is not None, "assemble refuses other generators"
                encoded = self.codec.encode(begun)
                steps.append(self._kept(team.generator.step_model.complete(encoded)))
            followed = steps[-1].transitions
            begun = followed[~followed[TERMINATED].view(-1)].clone()
            begun.set(OBSERVATION, begun[NEXT_OBSERVATION].clone())
        metrics = {name: sum(one.metrics[name] for one in steps) / len(steps) for name in steps[0].metrics}
        return Synthetic(torch.cat([one.rows for one in steps]), torch.cat([one.transitions for one in steps]), metrics)

    def _play_partners(self, team: Team, begun: TensorDictBase, rng: torch.Generator) -> None:
        """Write into rollouts that go on what a learner's partner does, as the generator knows it: a virtual partner.

        At a rollout's first step it does what the real one did.
        """
        assert team.generator.step_model is not None, "assemble refuses other generators"
        learns = begun[LEARNER] > 0.5
        places = (~learns.all(dim=1)).nonzero().view(-1)
        seats, rows = learns[places].long().argmin(dim=1), begun[places]
        who = rows[PARTNER].argmax(dim=1)
        said = virtual_action_probabilities(team.generator.step_model, self.codec, rows[OBSERVATION], seats, who).to(
            rng.device
        )
        uniform = torch.rand(len(places), 1, generator=rng, device=rng.device)
        drawn = one_hot(sample_categorical(said.log(), uniform), said.shape[1])
        begun[ACTION].unflatten(1, (2, -1))[places, seats] = drawn.to(begun[ACTION].dtype)

    def _ask_simulator(self, begun: TensorDictBase) -> Synthetic:
        assert self.world.oracle is not None, "assemble refuses an oracle where there is none"
        answer = self.world.oracle.simulate(begun)
        begun = begun.update(answer.select(*begun.keys(include_nested=True, leaves_only=True), strict=False))
        begun.set(IS_SYNTHETIC, torch.ones_like(begun[IS_SYNTHETIC]))
        return Synthetic(self.codec.encode(begun), begun, {"kept": 1.0})

    def sure(self, sampled: Sampled) -> Tensor:
        """Which rows the generator is sure enough of, `[n]` bool; all where it does not judge them."""
        config, confidence, agree = self.config, sampled.confidence, sampled.agree
        if confidence is None or agree is None:
            return torch.ones(len(sampled.rows), dtype=torch.bool, device=sampled.rows.device)
        kept = confidence.view(-1) >= config.min_confidence
        return kept & agree.view(-1) if config.require_agreement else kept

    def _kept(self, sampled: Sampled) -> Synthetic:
        """The rows that the generator is sure enough of, and figures of all."""
        kept = self.sure(sampled)
        judged = {"kept": kept, "confidence": sampled.confidence, "agreement": sampled.agree}
        metrics = {name: float(value.float().mean()) for name, value in judged.items() if value is not None}
        return Synthetic(sampled.rows[kept], self.codec.decode(sampled.rows[kept]), metrics)


def most_relevant(relevance: Tensor, top_fraction: float) -> Tensor:
    """Row numbers of the top fraction of `relevance` `[N, 1]`, at least one, from which prompts are drawn."""
    return relevance.view(-1).topk(max(1, round(top_fraction * relevance.shape[0]))).indices


def draw_prompts(relevance: Tensor, num_prompts: int, top_fraction: float, seed: int) -> Tensor:
    """Conditions `[num_prompts, 1]` drawn with replacement from the top fraction of `relevance` `[N, 1]`.

    Wang et al. (2025), section 4.2: the prompts are the relevances of the most relevant real transitions.
    """
    top = relevance[most_relevant(relevance, top_fraction)]
    generator = torch.Generator(device=top.device).manual_seed(derive_seed(seed, "prompts"))
    return top[torch.randint(len(top), (num_prompts,), generator=generator, device=top.device)]
