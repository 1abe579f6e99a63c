"""Partners in the kitchen: what they play is what is recorded, judged and taken up again."""

import numpy as np
import pytest
import torch

from genreplay.common.errors import UserError
from genreplay.envs.overcooked.config import OvercookedConfig
from genreplay.envs.overcooked.kitchen.kitchen_map import read_layout
from genreplay.envs.overcooked.kitchen.package import overcooked
from genreplay.envs.overcooked.kitchen.rules import STAY, Kitchen
from genreplay.envs.overcooked.kitchen.state_code import CELL, FIRST_SOUP, HELD, PLAYER_COLUMNS
from genreplay.envs.overcooked.partners.base import PartnerInput
from genreplay.envs.overcooked.partners.greedy import GreedyPartner
from genreplay.partners.learned import overcooked_world
from genreplay.replay.collection import executed
from genreplay.transitions.keys import ACTION, AGENTS_ACTION, LEARNER, OBSERVATION, PARTNER
from tests.helpers.kitchens import supported
from tests.helpers.partners import KITCHEN, make, scene
from tests.helpers.paths import REPOSITORY


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


# In the kitchen ------------------------------------------------------------------------------------------------------


def test_rows_hold_what_was_really_played_and_who_it_was():
    world, env = make("stay", "greedy", "self", num_workers=24, horizon=40)
    torch.manual_seed(0)
    steps = env.rollout(80, break_when_any_done=False).reshape(-1)
    asked, rows = steps[AGENTS_ACTION], executed(steps.clone())
    assert world.oracle.validity(rows)["valid"].all()
    played = rows[ACTION].view(-1, 2, 6).argmax(dim=-1)
    learns, partner = rows[LEARNER].bool(), rows[PARTNER].argmax(dim=-1)
    assert set(partner.tolist()) == {0, 1, 2}
    assert torch.equal(played[learns], asked[learns])
    assert learns[partner == 2].all()
    assert (learns[partner != 2].sum(dim=-1) == 1).all()
    assert (played[~learns & (partner == 0)[:, None]] == STAY).all()
    greedy = ~learns & (partner == 1)[:, None]
    assert (played[greedy] != asked[greedy]).any()
    assert {tuple(row) for row in learns.tolist()} == {(True, True), (True, False), (False, True)}


def test_an_episode_is_its_seed_and_the_policy_s_actions():
    """The same through TorchRL and through the hooks, and however many kitchens there are."""
    _, env = make("greedy:0.25", "random", start="random", horizon=30)
    _, alone = make("greedy:0.25", "random", start="random", horizon=30, num_workers=1)
    torch.manual_seed(1)
    steps = env.rollout(30)
    for worker in range(3):
        views = alone.start({0: 100 * worker})
        for step in steps[worker]:
            assert np.array_equal(views[0], step["agents", OBSERVATION].numpy())
            views = {0: alone.advance({0: step[AGENTS_ACTION].numpy()})[0].observation}


@pytest.mark.parametrize("name", ["stay", "random", "greedy", "greedy:1"])
@pytest.mark.parametrize("stuck", [False, True])
def test_partners_act_as_often_as_they_say(name, stuck):
    partner = make(name)[0].partner(name)
    for code in KITCHEN.random_states(np.random.default_rng(3), 6):
        for seat in (0, 1):
            num = 3000
            many = np.repeat(code[None], num, 0)
            asked = scene(many, seat, (np.arange(num) + 0.5) / num, previous=many if stuck else None)
            said = partner.action_probabilities(asked)
            assert said.shape == (num, 6)
            assert np.abs(np.bincount(partner.act(asked), minlength=6) / num - said[0]).max() < 1e-3


# The greedy cook -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("softness", [0.0, 1.0])
def test_the_greedy_cook_is_the_package_s(softness):
    codes, partner = KITCHEN.random_states(np.random.default_rng(0), 40), GreedyPartner(KITCHEN, softness)
    numbers = overcooked("mdp.actions").Action.ACTION_TO_INDEX
    soft = {"hl_temp": 1 / softness, "ll_temp": 1 / softness} if softness else {}
    rational = {"hl_boltzmann_rational": True, "ll_boltzmann_rational": True} if softness else {}
    num = 400 if softness else 1
    before = np.random.get_state()
    try:
        for seat, model in enumerate(partner._models):
            theirs = type(model)(model.mlam, auto_unstuck=False, **soft, **rational)
            theirs.set_agent_index(seat)
            theirs.set_mdp(partner._mdp)
            for code in codes[:12] if softness else codes:
                world = KITCHEN.code.decode(code)
                counts = np.bincount([numbers[theirs.action(world)[0]] for _ in range(num)], minlength=6)
                assert np.abs(counts / num - partner.probabilities(code, seat)).max() < (0.12 if softness else 1e-9)
    finally:
        np.random.set_state(before)


def test_the_greedy_cook_moves_where_both_are_stuck():
    partner = GreedyPartner(KITCHEN)
    codes = KITCHEN.random_states(np.random.default_rng(1), 60)
    for seat in (0, 1):
        for code in codes:
            num = 120
            many = np.repeat(code[None], num, 0)
            actions = partner.act(scene(many, seat, (np.arange(num) + 0.5) / num, previous=many))
            joint = np.full((6, 2), STAY)
            joint[:, seat] = np.arange(6)
            following, _ = KITCHEN.step(np.repeat(code[None], 6, 0), joint)
            cell = seat * PLAYER_COLUMNS + CELL
            free = np.flatnonzero(following[:, cell] != code[cell]).tolist() or [STAY]
            assert np.bincount(actions, minlength=6)[free].tolist() == [num // len(free)] * len(free)


def test_the_greedy_cook_leaves_the_global_chance_alone_and_repeats():
    before = np.random.get_state()[1].copy()
    codes = KITCHEN.random_states(np.random.default_rng(2), 50)
    first, again = (GreedyPartner(KITCHEN, 1.0).act(scene(codes, 1)) for _ in range(2))
    assert np.array_equal(first, again)
    assert np.array_equal(np.random.get_state()[1], before)


def test_the_greedy_cook_needs_an_order_of_three_onions(tmp_path):
    path = tmp_path / "two.layout"
    orders = [{"ingredients": ["onion", "onion"]}]
    path.write_text(repr({"grid": "XXPXX\nO  2O\nX1  X\nXDXSX", "start_all_orders": orders}))
    world = overcooked_world(OvercookedConfig(layout=str(path), dynamics="new"))
    with pytest.raises(UserError, match=r"^env\.partners: greedy makes soups of three onions, which two has no order"):
        world.partner("greedy")
    assert not any("greedy" in demand.name for demand in world.evaluation.demands())


STUCK = REPOSITORY / "tests/data/overcooked/kit_stuck.layout"


@pytest.mark.parametrize("start", ["standard", "random"])
@pytest.mark.parametrize("name", ["greedy", "greedy:1"])
def test_a_greedy_cook_who_can_reach_nothing_stays(name, start):
    _, env = make(name, num_workers=8, layout=str(STUCK), start=start, horizon=30)
    torch.manual_seed(0)
    rows = executed(env.rollout(60, break_when_any_done=False).reshape(-1))
    played, learns = rows[ACTION].view(-1, 2, 6).argmax(dim=-1), rows[LEARNER].bool()
    walled_in = ~learns[:, 1]
    assert walled_in.any()
    assert (played[walled_in, 1] == STAY).all()
    assert (played[~learns[:, 0], 0] != STAY).any()


def test_a_greedy_cook_who_can_reach_the_serving_location_alone_delivers_what_it_holds(tmp_path):
    path = tmp_path / "server.layout"
    path.write_text(repr({"grid": "XXPXXXX\nO 1XX2S\nX  XXXX\nXDSXXXX"}))
    kitchen = Kitchen(read_layout(str(path)))
    partner, codes = GreedyPartner(kitchen), kitchen.random_states(np.random.default_rng(0), 200)
    holds_soup = codes[:, PLAYER_COLUMNS + HELD] >= FIRST_SOUP
    assert 0 < holds_soup.sum() < 200
    for code, soup in zip(codes, holds_soup, strict=True):
        stays = partner.probabilities(code, 1)[STAY] == 1.0
        assert stays == (not soup)


def makes_three(layout, dynamics):
    return Kitchen(read_layout(layout), dynamics).code.kitchen.values[2] > 0


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "dynamics"), [kitchen for kitchen in supported() if makes_three(*kitchen)])
def test_a_greedy_cook_plays_from_any_state_of_every_kitchen(layout, dynamics):
    _, env = make("greedy", num_workers=6, layout=layout, dynamics=dynamics, start="random", horizon=40)
    torch.manual_seed(0)
    assert env.rollout(80, break_when_any_done=False).shape == (6, 80)


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "low", "high"), [("cramped_room", 180, 200), ("asymmetric_advantages", 240, 310)])
def test_two_greedy_cooks_make_the_soups_that_the_package_s_make(layout, low, high):
    _, env = make("greedy", layout=layout, num_workers=1, evaluation=True)
    partner, returns = GreedyPartner(env.kitchen), []
    for seed in range(6):
        env.demand = f"greedy/{seed % 2}"
        env.start({0: seed})
        chance, previous = np.random.default_rng(seed), np.full_like(env.codes, -1)
        for _ in range(400):
            uniforms = chance.random((1, 2), dtype=np.float32)
            own = partner.act(
                PartnerInput(env.kitchen.code, env.codes.copy(), previous, np.array([seed % 2]), uniforms)
            )
            previous = env.codes.copy()
            env.advance({0: np.repeat(own, 2)})
        returns.append(env.metrics(0)["sparse_return"])
    assert low <= np.mean(returns) <= high


# Demands -------------------------------------------------------------------------------------------------------------


def test_demands_are_partners_in_both_seats():
    world, _ = make("greedy:0.7", "self", "stay")
    scripted = ["stay", "random", "greedy", "greedy:0.25", "greedy:1", "greedy:0.7"]
    assert [d.name for d in world.evaluation.demands()] == [
        "self",
        *(f"{name}/{seat}" for name in scripted for seat in (0, 1)),
    ]
    assert [d.name for d in world.evaluation.demands() if d.in_range] == [
        "self",
        *(f"{n}/{s}" for n in ("stay", "greedy:0.7") for s in (0, 1)),
    ]
    alone, _ = make()
    assert [d.name for d in alone.evaluation.demands(["self", "stay/1"]) if d.in_range] == ["self"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("greedy", "--demand greedy: write self, or a partner and the policy's seat, such as greedy/0"),
        ("greddy/0", "env.partners: there is no partner 'greddy'; choose among self, stay, random, greedy, "),
        (
            "human/0",
            r"env.partners: there is no clone of the people of cramped_room \(train\) yet; run: genreplay clone "
            "--layout cramped_room --split train$",
        ),
        ("checkpoint:nowhere/0", "env.partners: nowhere: holds no checkpoint; "),
    ],
)
def test_demands_that_cannot_be_met(name, message):
    with pytest.raises(UserError, match=f"^{message}"):
        make()[0].evaluation.demands([name])


def test_a_demand_fixes_partner_and_seat_and_leaves_training_alone():
    _, env = make("random", num_workers=2, evaluation=True)
    own = np.array([0, 1])
    for demand, expected in (("self", [0, 1]), ("stay/0", [0, STAY]), ("stay/1", [STAY, 1])):
        env.demand = demand
        env.start({0: 5, 1: 6})
        env.advance({0: own, 1: own})
        assert env.acted.tolist() == [expected, expected]
    env.demand = None
    env.start({0: 4, 1: 5})
    assert env.learners.tolist() == [[1, 0], [0, 1]]


def test_training_refuses_a_partner_that_is_not_there():
    with pytest.raises(
        UserError, match=r"^env\.partners: there is no clone of the people of cramped_room \(test\) yet"
    ):
        make("stay", "human:test")
    with pytest.raises(UserError, match=r"^env\.partners: nobody played five_by_five, so there is no human partner"):
        make("human", layout="five_by_five")
