"""Where synthetic transitions come from: whole generated ones, counterfactuals, the oracle, and what is kept."""

import pytest
import torch

from genreplay.build import build_generator, build_world
from genreplay.common.errors import UserError
from genreplay.config.reader import load
from genreplay.envs.overcooked.kitchen.rules import NUM_ACTIONS
from genreplay.generators.base import Sampled
from genreplay.generators.distributed.team import Team, make_fabric
from genreplay.replay.synthesis import draw_prompts, most_relevant
from genreplay.training.assemble import build_synthesis
from genreplay.transitions.codec import Codec
from genreplay.transitions.keys import (
    ACTION,
    IS_SYNTHETIC,
    LEARNER,
    OBSERVATION,
    REWARD,
)
from tests.helpers.paths import CONF
from tests.helpers.synthesis import NUM_REAL, drawn_by, synthesis


def test_generated_rows_are_the_teams(world, agent, real, team):
    drawn = drawn_by(synthesis(world, agent, team), real, 100)
    assert torch.equal(drawn.rows, team.sample(100, None, 3).rows)
    assert len(drawn.transitions) == 100
    assert drawn.transitions[IS_SYNTHETIC].all()
    assert drawn.metrics["kept"] == 1.0


def test_seats_are_swapped_only_where_there_are_two():
    config = load(CONF / "pendulum_pgr.yaml", ["synthesis.swap_seats=true"])
    world = build_world(config)
    with pytest.raises(UserError, match=r"^synthesis\.swap_seats: env\.name 'gymnasium' has no two seats"):
        build_synthesis(config, Codec(world.layout), None, world, None)


def test_a_generator_can_be_fitted_to_both_players_views(world, agent, real, team):
    """Swapped transitions are as possible as the real ones, and each keeps its relevance."""
    codec, relevance = Codec(world.layout), torch.arange(float(NUM_REAL)).unsqueeze(1)
    plain, both = (synthesis(world, agent, team, swap_seats=swap) for swap in (False, True))
    rows, same = plain.training_rows(real, relevance)
    assert torch.equal(rows, codec.encode(real))
    assert same is relevance
    rows, doubled = both.training_rows(real, relevance)
    assert torch.equal(doubled.view(2, -1), relevance.view(1, -1).expand(2, -1))
    assert both.training_rows(real, None)[1] is None
    swapped = codec.decode(rows[NUM_REAL:])
    assert world.oracle.measure(swapped)["valid"] == 1.0
    assert torch.equal(swapped[REWARD], real[REWARD])
    assert not torch.equal(swapped[OBSERVATION], real[OBSERVATION])


def test_unsure_rows_are_left_out(world, agent, real, team):
    everything = drawn_by(synthesis(world, agent, team, source="counterfactual"), real, 300)
    codec = Codec(world.layout)
    judged = team.generator.complete(codec.encode(everything.transitions))
    threshold = float(judged.confidence.median())
    some = synthesis(world, agent, team, source="counterfactual", min_confidence=threshold, require_agreement=True)
    kept = drawn_by(some, real, 300)
    wanted = (judged.confidence.view(-1) >= threshold) & judged.agree.view(-1)
    assert 0 < int(wanted.sum()) < 300
    assert torch.equal(kept.rows, everything.rows[wanted])
    assert len(kept.transitions) == int(wanted.sum())
    assert kept.metrics["kept"] == pytest.approx(int(wanted.sum()) / 300)
    assert kept.metrics["agreement"] == pytest.approx(float(judged.agree.float().mean()))


def test_generators_without_judgement_keep_every_row(world, agent, team):
    picky = synthesis(world, agent, team, min_confidence=0.9, require_agreement=True)
    assert picky.confident(Sampled(torch.zeros(5, 2))).tolist() == [True] * 5


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("synthesis.source=counterfactual", "counterfactual needs a generator that predicts the outcome"),
        ("synthesis.min_confidence=0.5", "'masked' does not say how sure it is"),
        ("synthesis.require_agreement=true", "'masked' does not say how sure it is"),
    ],
)
def test_a_generator_is_not_asked_what_it_cannot_say(world, agent, option, message):
    config = load(CONF / "overcooked/masked.yaml", [option])
    codec = Codec(world.layout)
    with (
        Team(make_fabric("cpu"), build_generator(config, codec)) as team,
        pytest.raises(UserError, match=message),
    ):
        build_synthesis(config, codec, agent, world, team)


def test_resampled_actions_are_the_policys_and_leave_the_partner_alone(world, agent, real):
    state = real[:1].expand(6_000).clone()
    state[LEARNER] = torch.tensor([[0.0, 1.0]]).expand(6_000, 2).clone()
    drawn = agent.resample_actions(state, torch.Generator().manual_seed(0)).unflatten(1, (2, NUM_ACTIONS))
    assert (drawn.sum(dim=2) == 1).all()
    assert torch.equal(drawn[:, 0], state[ACTION][:, :NUM_ACTIONS])
    expected = agent.actor(state[OBSERVATION][:1, world.layout.seats.permutation]).exp()
    assert torch.allclose(drawn[:, 1].mean(dim=0), expected[0], atol=0.025)


def test_drawing_moves_no_global_stream_and_repeats(world, agent, real, team):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, other = (
        drawn_by(synthesis(world, agent, team, source="counterfactual"), real, 40, seed=9).rows for _ in range(2)
    )
    assert torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_prompts_come_from_the_top_fraction_only() -> None:
    relevance = torch.arange(100.0).unsqueeze(1)[torch.randperm(100, generator=torch.Generator().manual_seed(0))]
    prompts = draw_prompts(relevance[most_relevant(relevance, 0.25)], 5000, seed=1)
    assert prompts.shape == (5000, 1)
    assert set(prompts.view(-1).tolist()) == set(range(75, 100))


def test_prompts_repeat_with_their_seed_and_differ_with_another() -> None:
    relevance = torch.rand(50, 1, generator=torch.Generator().manual_seed(0))
    first = draw_prompts(relevance, 20, seed=1)
    assert torch.equal(first, draw_prompts(relevance, 20, seed=1))
    assert not torch.equal(first, draw_prompts(relevance, 20, seed=2))


def test_a_fraction_smaller_than_one_row_takes_the_best_row() -> None:
    relevance = torch.tensor([[1.0], [3.0], [2.0]])
    assert most_relevant(relevance, 0.01).tolist() == [1]
