"""Rollouts from real states: the generator as step model, the oracle, and virtual partners."""

import pytest
import torch
from torch.nn.functional import one_hot

from genreplay.agents.config import DiscreteRedqSacConfig
from genreplay.agents.discrete.redq_sac import DiscreteRedqSac
from genreplay.build import build_generator, build_world
from genreplay.common.errors import UserError
from genreplay.config.reader import load
from genreplay.envs.overcooked.config import OvercookedConfig
from genreplay.envs.overcooked.kitchen.rules import NUM_ACTIONS
from genreplay.envs.overcooked.world import OvercookedWorld
from genreplay.generators.config import FactorisedConfig
from genreplay.generators.discrete.factorised import FactorisedGenerator
from genreplay.generators.distributed.team import Team, make_fabric
from genreplay.replay.collection import Collection
from genreplay.training.assemble import build_synthesis
from genreplay.transitions.codec import Codec
from genreplay.transitions.keys import (
    ACTION,
    DURATION,
    EVENT,
    IS_SYNTHETIC,
    LEARNER,
    NEXT_OBSERVATION,
    OBSERVATION,
    PARTNER,
    REWARD,
    SHAPED_REWARD,
    TERMINATED,
)
from tests.helpers.options import with_options
from tests.helpers.paths import CONF
from tests.helpers.synthesis import NUM_REAL, SMALL, drawn_by, rows_of, synthesis


def test_counterfactuals_begin_in_real_states_and_end_as_the_generator_says(world, agent, real, team):
    drawn = drawn_by(synthesis(world, agent, team, source="counterfactual"), real, 300)
    assert rows_of(drawn.transitions, OBSERVATION) <= rows_of(real, OBSERVATION)
    # Actions are new: most pairs of state and action were never tried.
    assert len(rows_of(drawn.transitions, OBSERVATION, ACTION) - rows_of(real, OBSERVATION, ACTION)) > 50
    codec = Codec(world.layout)
    again = codec.decode(team.generator.complete(codec.encode(drawn.transitions)).rows)
    assert torch.equal(again[NEXT_OBSERVATION], drawn.transitions[NEXT_OBSERVATION])
    # A generator fitted this little is often wrong, and nobody puts it right.
    assert 0.0 < world.oracle.measure(drawn.transitions)["valid"] < 0.9


def test_only_the_oracle_asks_the_simulator(world, agent, real, team, monkeypatch):
    asked = []
    monkeypatch.setattr(
        world.oracle,
        "simulate",
        lambda rows: asked.append(len(rows)) or type(world.oracle).simulate(world.oracle, rows),
    )
    for source in ("generated", "counterfactual"):
        drawn_by(synthesis(world, agent, team, source=source, min_confidence=0.1), real, 50)
    assert not asked
    drawn = drawn_by(synthesis(world, agent, team, source="oracle"), real, 300)
    assert asked == [300]
    assert world.oracle.measure(drawn.transitions)["valid"] == 1.0
    assert drawn.transitions[IS_SYNTHETIC].all()
    assert set(drawn.transitions.keys(True, True)) == set(real.keys(True, True))
    begun = drawn_by(synthesis(world, agent, team, source="counterfactual"), real, 300).transitions
    assert torch.equal(begun[OBSERVATION], drawn.transitions[OBSERVATION])
    assert torch.equal(begun[ACTION], drawn.transitions[ACTION])
    answer = type(world.oracle).simulate(world.oracle, begun)
    for key in (NEXT_OBSERVATION, EVENT, REWARD, SHAPED_REWARD, TERMINATED):
        assert torch.equal(drawn.transitions[key], answer[key])
    assert (drawn.transitions[DURATION] == 1).all()


def test_rollouts_go_on_from_where_they_came_to(world, agent, real, team):
    one_step = drawn_by(synthesis(world, agent, team, source="oracle"), real, 100).transitions
    drawn = drawn_by(synthesis(world, agent, team, source="oracle", rollout_length=4), real, 400).transitions
    steps = drawn.unflatten(0, (4, 100))
    assert torch.equal(steps[0][NEXT_OBSERVATION], one_step[NEXT_OBSERVATION])
    assert torch.equal(steps[1:][OBSERVATION], steps[:-1][NEXT_OBSERVATION])
    assert world.oracle.measure(drawn)["valid"] == 1.0
    assert rows_of(steps[3], OBSERVATION) - rows_of(real, OBSERVATION), "states that nobody has been in"
    # The policy acts anew in each: what it does is what it would draw there.
    assert (steps[3][ACTION] != steps[0][ACTION]).any(dim=1).float().mean() > 0.5


def test_a_rollout_that_ends_gives_way_to_a_new_one(world, agent, real, team, monkeypatch):
    """All that is kept goes on; what is not, and what the world ends, is replaced by real states."""
    first = drawn_by(synthesis(world, agent, team, source="counterfactual"), real, 100)
    threshold = float(team.generator.complete(first.rows).confidence.median())
    counterfactual = synthesis(world, agent, team, source="counterfactual", rollout_length=3, min_confidence=threshold)
    asked, encode = [], counterfactual.codec.encode
    monkeypatch.setattr(counterfactual.codec, "encode", lambda rows: asked.append(rows.clone()) or encode(rows))
    drawn = drawn_by(counterfactual, real, 300)
    assert [len(rows) for rows in asked] == [100, 100, 100]
    judged = [team.generator.complete(encode(rows)) for rows in asked]
    kept = [one.confidence.view(-1) >= threshold for one in judged]
    assert 0 < int(kept[0].sum()) < 100
    assert len(drawn.transitions) == sum(int(one.sum()) for one in kept)
    assert drawn.metrics["kept"] == pytest.approx(len(drawn.transitions) / 300)
    went_on = counterfactual.codec.decode(judged[0].rows[kept[0]])
    assert torch.equal(asked[1][OBSERVATION][: len(went_on)], went_on[NEXT_OBSERVATION])
    assert rows_of(asked[1][len(went_on) :], OBSERVATION) <= rows_of(real, OBSERVATION)


def test_no_rollout_goes_on_where_the_world_ends(world, agent, real, team, monkeypatch):
    def ended(rows):
        answer = type(world.oracle).simulate(world.oracle, rows)
        return answer.set(TERMINATED, torch.ones_like(answer[TERMINATED]))

    monkeypatch.setattr(world.oracle, "simulate", ended)
    drawn = drawn_by(synthesis(world, agent, team, source="oracle", rollout_length=3), real, 300).transitions
    assert rows_of(drawn, OBSERVATION) <= rows_of(real, OBSERVATION)


def test_beside_a_partner_rollouts_go_on_with_a_virtual_one(monkeypatch):
    """What the partner does in a state that it never was in comes from the generator, asked for this partner's seat."""
    world = OvercookedWorld(OvercookedConfig(horizon=50, start="random", partners=["self", "stay", "random"]))
    torch.manual_seed(0)
    agent = DiscreteRedqSac.for_layout(DiscreteRedqSacConfig(hidden_width=16), world.layout, 1.0)
    env = world.make_env(8, lambda worker, index: 100 * worker + index)
    collection = Collection(env, agent.policy(deterministic=False), 0, world.layout.stored_keys)
    real = torch.cat([collection.next() for _ in range(130)])
    asked = []

    def north(generator, codec, observation, seats, code):
        asked.append((observation, seats, code))
        return one_hot(torch.zeros_like(seats), NUM_ACTIONS).float()

    monkeypatch.setattr("genreplay.replay.rollouts.virtual_action_probabilities", north)
    config = with_options(FactorisedConfig, SMALL)
    with Team(make_fabric("cpu"), FactorisedGenerator(config, Codec(world.layout), conditional=False)) as team:
        rollouts = synthesis(world, agent, team, source="oracle", rollout_length=2)
        steps = drawn_by(rollouts, real, 800).transitions.unflatten(0, (2, 400))
    learns = steps[LEARNER] > 0.5
    beside = ~learns[1].all(dim=1)
    assert 100 < int(beside.sum()) < 400, "self-play needs no virtual partner"
    ((observation, seats, code),) = asked
    assert torch.equal(observation, steps[1][beside][OBSERVATION])
    assert torch.equal(seats, (~learns[1][beside]).long().argmax(dim=1))
    assert torch.equal(code, steps[1][beside][PARTNER].argmax(dim=1))
    does = steps[ACTION].unflatten(2, (2, NUM_ACTIONS)).argmax(dim=3)
    assert (does[1][~learns[1]] == 0).all()
    assert (does[0][~learns[0]] > 0).float().mean() > 0.3, "at first it does what the real one did"
    assert (does[1][learns[1]] > 0).float().mean() > 0.5, "the learner acts by its policy"
    assert world.oracle.measure(steps.flatten())["valid"] == 1.0

    def ended(rows):
        answer = type(world.oracle).simulate(world.oracle, rows)
        return answer.set(TERMINATED, torch.ones_like(answer[TERMINATED]))

    monkeypatch.setattr(world.oracle, "simulate", ended)
    drawn_by(rollouts, real, 800)
    assert len(asked) == 1, "a new rollout begins with what the real one did"


def test_rollouts_beside_a_partner_need_a_generator_that_can_be_it():
    options = ["env.partners=[self,greedy]", "synthesis.source=oracle", "synthesis.rollout_length=2"]
    config = load(CONF / "overcooked/edm.yaml", options)
    world = build_world(config)
    codec = Codec(world.layout)
    agent = DiscreteRedqSac.for_layout(DiscreteRedqSacConfig(hidden_width=16), world.layout, 1.0)
    with (
        Team(make_fabric("cpu"), build_generator(config, codec)) as team,
        pytest.raises(UserError, match=r"^synthesis\.rollout_length: with a partner .* and 'edm' cannot; write "),
    ):
        build_synthesis(config, codec, agent, world, team)


@pytest.mark.parametrize("source", ["counterfactual", "oracle"])
def test_relevance_chooses_the_states_that_counterfactuals_begin_in(world, agent, real, team, source):
    chosen = torch.arange(NUM_REAL) % 4 == 1
    relevance = torch.where(chosen, 2.0, torch.rand(NUM_REAL, generator=torch.Generator().manual_seed(0))).unsqueeze(1)
    drawn = drawn_by(synthesis(world, agent, team, source=source), real, 2_000, relevance).transitions
    assert rows_of(drawn, OBSERVATION, LEARNER) == rows_of(real[chosen], OBSERVATION, LEARNER)
