"""Synthetic transitions by rollouts: real states, new actions of the policy, and the outcome by a model or a simulator.

Shapes: n synthetic transitions.

Branched rollouts: Janner et al. (2019), "When to Trust Your Model", algorithm 2. With a `rollout_length` of 1 they are
counterfactuals: the real states with other actions.
"""

from __future__ import annotations

import torch
from tensordict import TensorDict, TensorDictBase
from torch.nn.functional import one_hot

from genreplay.agents.base import EnsembleAgent
from genreplay.agents.discrete.actor import sample_categorical
from genreplay.common.seeding import derive_seed
from genreplay.config.schema import SynthesisConfig
from genreplay.envs.facets import Oracle
from genreplay.generators.discrete.partner_model import PartnerModel, virtual_action_probabilities
from genreplay.generators.distributed.team import Team
from genreplay.replay.synthesis import Source, Synthesis, Synthetic
from genreplay.transitions.codec import Codec
from genreplay.transitions.keys import ACTION, IS_SYNTHETIC, LEARNER, NEXT_OBSERVATION, OBSERVATION, PARTNER, TERMINATED


class Rollouts(Synthesis):
    """Rollouts of the current policy, whose outcomes the generator's step model predicts.

    Args:
        config: its options.
        codec: from transitions to the generator's rows and back.
        team: the generator, on all ranks.
        agent: its policy draws the actions.
    """

    def __init__(self, config: SynthesisConfig, codec: Codec, team: Team, agent: EnsembleAgent):
        super().__init__(config, codec, team)
        self.agent = agent
        seats = codec.layout.seats
        self._partners = seats is not None and seats.learners != "both"

    def draw(self, source: Source, num_rows: int, seed: int) -> Synthetic:
        """Draw `num_rows` rows of rollouts that begin in real states, drawn with replacement; some may not be kept.

        A rollout ends after `rollout_length` steps, at a row that is not kept, and where the episode ends; a new one
        then takes its place.
        """
        real = source.real if source.most_relevant is None else source.most_relevant
        rng = torch.Generator(real[ACTION].device).manual_seed(derive_seed(seed, "counterfactuals"))
        num_rollouts = -(-num_rows // self.config.rollout_length)
        states: TensorDictBase = real[:0]
        steps = list[Synthetic]()
        for step in range(self.config.rollout_length):
            num_continued = len(states)
            places = torch.randint(len(real), (num_rollouts - num_continued,), generator=rng, device=rng.device)
            states = TensorDict.cat([states, real[places]])
            states.set(ACTION, self.agent.resample_actions(states, rng))
            if num_continued and self._partners:
                self._play_partners(states[:num_continued], rng)
            steps.append(self._step(states, derive_seed(seed, "outcomes", step)))
            outcomes = steps[-1].transitions
            states = outcomes[~outcomes[TERMINATED].view(-1)].clone()
            states.set(OBSERVATION, states[NEXT_OBSERVATION].clone())
        metrics = {name: sum(one.metrics[name] for one in steps) / len(steps) for name in steps[0].metrics}
        return Synthetic(torch.cat([one.rows for one in steps]), torch.cat([one.transitions for one in steps]), metrics)

    def _step(self, states: TensorDictBase, seed: int) -> Synthetic:
        """The outcome of states and actions; `seed` is that of the generator's noise."""
        assert self.generator.step_model is not None, "assemble refuses a generator without one"
        return self._kept(self.generator.step_model.complete(self.codec.encode(states), seed))

    def _play_partners(self, states: TensorDictBase, rng: torch.Generator) -> None:
        """Write the actions of a virtual partner, drawn from the generator, into rollouts that go on.

        At a rollout's first step the partner's action is the real one.
        """
        model = self.generator.step_model
        assert isinstance(model, PartnerModel), "assemble refuses a generator that is none"
        learns = states[LEARNER] > 0.5
        places = (~learns.all(dim=1)).nonzero().view(-1)
        seats, rows = learns[places].long().argmin(dim=1), states[places]
        who = rows[PARTNER].argmax(dim=1)
        p = virtual_action_probabilities(model, self.codec, rows[OBSERVATION], seats, who)
        uniform = torch.rand(len(places), 1, generator=rng, device=rng.device)
        drawn = one_hot(sample_categorical(p.to(rng.device).log(), uniform), p.shape[1])
        states[ACTION].unflatten(1, (2, -1))[places, seats] = drawn.to(states[ACTION].dtype)


class OracleRollouts(Rollouts):
    """Rollouts in the simulator. Not a method: an upper bound, as from a perfect model.

    Args:
        config: its options.
        codec: from transitions to the generator's rows and back.
        team: the generator, which plays partners.
        agent: its policy draws the actions.
        oracle: the simulator.
    """

    def __init__(self, config: SynthesisConfig, codec: Codec, team: Team, agent: EnsembleAgent, oracle: Oracle):
        super().__init__(config, codec, team, agent)
        self.oracle = oracle

    def _step(self, states: TensorDictBase, seed: int) -> Synthetic:
        answer = self.oracle.simulate(states)
        states = states.update(answer.select(*states.keys(include_nested=True, leaves_only=True), strict=False))
        states.set(IS_SYNTHETIC, torch.ones_like(states[IS_SYNTHETIC]))
        return Synthetic(self.codec.encode(states), states, {"kept": 1.0})
