"""Synthesis by a diffusion with given columns: rollouts of a policy with numbers, and rows that follow real ones."""

import pytest
import torch

from genreplay.build import build_generator, build_world
from genreplay.common.errors import UserError
from genreplay.config.reader import load
from genreplay.config.schema import SynthesisConfig
from genreplay.generators.distributed.team import Team, make_fabric
from genreplay.replay.rollouts import Rollouts
from genreplay.replay.synthesis import Generated
from genreplay.training.assemble import build_synthesis
from genreplay.transitions.codec import Codec
from genreplay.transitions.keys import ACTION, NEXT_OBSERVATION, OBSERVATION
from tests.helpers import stages
from tests.helpers.parts import agent_for, experiment, random_rows, world_of
from tests.helpers.paths import CONF
from tests.helpers.synthesis import drawn_by, rows_of


@pytest.mark.parametrize("env", ["gymnasium", "sumo"])
def test_outcomes_of_the_policys_own_actions_are_diffused(env):
    config = experiment(env=env, generator="edm", agent="redq_sac")
    config.generator.fit.given_share = 0.5
    codec, real = Codec(world_of(env).layout), random_rows(env, 40)
    generator = build_generator(config, codec)
    with Team(make_fabric("cpu"), generator) as team:
        team.fit(codec.encode(real), None, seed=0)
        rollouts = Rollouts(SynthesisConfig(source="counterfactual", rollout_length=2), codec, team, agent_for(env))
        drawn, again, other = (drawn_by(rollouts, real, 40, seed=seed).transitions for seed in (3, 3, 4))
    first, second = drawn[:20], drawn[20:]
    assert rows_of(first, OBSERVATION) <= rows_of(real, OBSERVATION)
    assert not rows_of(first, ACTION) & rows_of(real, ACTION)
    assert rows_of(second, OBSERVATION) - rows_of(real, OBSERVATION), "states that nobody has been in"
    torch.testing.assert_close(codec.encode(drawn), codec.project(codec.encode(drawn)))
    assert torch.equal(drawn[NEXT_OBSERVATION], again[NEXT_OBSERVATION])
    assert not torch.equal(drawn[NEXT_OBSERVATION], other[NEXT_OBSERVATION])


def test_a_row_takes_stage_and_prompt_from_the_same_real_row():
    real = stages.transitions(stages.stage_rows(400))
    stage = stages.CODEC.encode(real)[:, stages.STAGE]
    relevance = (stage.argmax(dim=1) + torch.rand(400) / 2).unsqueeze(1)
    asked = []
    generator = stages.stage_generator(conditional=True, categories="given", **{"fit.num_steps": 2})
    with Team(make_fabric("cpu"), generator) as team:
        sample = team.sample
        team.sample = lambda n, prompts, seed, given: asked.append((prompts, given)) or sample(n, prompts, seed, given)
        synthesis = Generated(SynthesisConfig(), stages.CODEC, team)
        source = synthesis.source(real, relevance)
        synthesis.fit(source, seed=0)
        drawn = synthesis.draw(source, 300, seed=1).rows
        synthesis.draw(source._replace(relevance=None, top=None), 300, seed=1)
    (prompts, given), (no_prompts, any_given) = asked
    assert torch.equal(prompts.view(-1).int(), given[:, stages.STAGE].argmax(dim=1).int())
    assert torch.equal(drawn[:, stages.STAGE], given[:, stages.STAGE])
    assert set(prompts.view(-1).tolist()) <= set(relevance.view(-1).topk(100).values.tolist())
    assert no_prompts is None
    shares = any_given[:, stages.STAGE].mean(dim=0)
    assert (shares - stage.mean(dim=0)).abs().max() < 0.08


def test_counterfactuals_need_a_share_of_rows_with_state_and_action():
    config = load(CONF / "pendulum_pgr.yaml", ["synthesis.source=counterfactual"])
    world = build_world(config)
    codec = Codec(world.layout)
    with Team(make_fabric("cpu"), build_generator(config, codec)) as team, pytest.raises(UserError) as error:
        build_synthesis(config, codec, None, world, team)
    assert str(error.value) == (
        "synthesis.source: counterfactual needs a generator that predicts the outcome of a given action, and 'edm' "
        "does not; write generator.fit.given_share: 0.25 (edm alone), generator.name: factorised, or "
        "synthesis.source: generated"
    )
