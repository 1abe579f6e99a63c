"""Layout files: which can be played, and what is said of those that cannot."""

import pytest

from genreplay.common.errors import FieldError, UserError
from genreplay.envs.overcooked.config import OvercookedConfig
from genreplay.envs.overcooked.kitchen.kitchen_map import read_layout, shipped_layouts
from genreplay.envs.overcooked.kitchen.rules import Kitchen

GOOD = ["XXPXX", "O  2O", "X1  X", "XDXSX"]


def test_the_shipped_onion_layouts_of_two_cooks_can_be_played():
    played, refused = [], {}
    for name in shipped_layouts():
        try:
            read_layout(name)
            played.append(name)
        except UserError as error:
            refused[name] = str(error)
    assert played == [
        "asymmetric_advantages",
        "bottleneck",
        "centre_objects",
        "centre_pots",
        "coordination_ring",
        "corridor",
        "counter_circuit_o_1order",
        "cramped_room",
        "cramped_room_o_3orders",
        "five_by_five",
        "forced_coordination",
        "large_room",
        "long_cook_time",
        "m_shaped_s",
        "pipeline",
        "scenario1_s",
        "scenario2",
        "scenario2_s",
        "scenario3",
        "scenario4",
        "schelling",
        "schelling_s",
        "simple_o",
        "small_corridor",
        "tutorial_0",
        "unident",
    ]
    cooks = {name for name, message in refused.items() if "genreplay plays two cooks" in message}
    assert cooks == {"cramped_room_single", "multiplayer_schelling"}
    assert all("the map has tomatoes (T)" in message for name, message in refused.items() if name not in cooks)


def test_an_unknown_name_tells_the_nearest():
    with pytest.raises(UserError, match=r"^env.layout: there is no layout 'cramped_rom'; nearest: cramped_room, "):
        read_layout("cramped_rom")


def write(tmp_path, grid, **entries):
    path = tmp_path / "mine.layout"
    path.write_text(repr({"grid": "\n        ".join(grid), **entries}))
    return str(path)


def test_your_own_file(tmp_path):
    layout = read_layout(write(tmp_path, GOOD, cook_time=7, delivery_reward=30, start_bonus_orders=[]))
    assert (layout.name, layout.starts, layout.cook_times, layout.values) == (
        "mine",
        ((1, 2), (3, 1)),
        (7,) * 3,
        (30,) * 3,
    )


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (["XXPXX", "O  2 ", "X1  X", "XDXSX"], "the map's rows differ in length"),
        (["XXPXX", "O  2O", " 1  X", "XDXSX"], "the map's rows differ in length"),
        (["XXPX1", "O  2O", "X   X", "XDXSX"], "the kitchen is not enclosed: its border must hold no floor"),
        (["XXXXX", "O  2O", "X1  X", "XDXSX"], r"the map has no pot \(P\)$"),
        (["XXPXX", "O  2O", "X1  X", "XDXXX"], r"the map has no serving location \(S\)$"),
        (["XXPXX", "X  2X", "X1  X", "XDXSX"], r"the map has no onion dispenser \(O\)$"),
        (["XXPXX", "O   O", "X1  X", "XDXSX"], "genreplay plays two cooks, marked 1 and 2 once each; this map has 1$"),
        (["XXPXX", "O 32O", "X1  X", "XDXSX"], "genreplay plays two cooks, .* this map has 1, 2, 3$"),
        (["XXPXX", "O  2T", "X1  X", "XDXSX"], "the map has tomatoes"),
        (["XXPXX", "O  2Q", "X1  X", "XDXSX"], "the map has 'Q'; it may hold"),
        (["PXXXX", "O  2O", "X1  X", "XDXSX"], r"no cook can reach a pot \(P\)$"),
        (["XOXXPX", "X1XX2S", "XXXXDX", "XXXXXX"], "no soup can be made and served"),
    ],
)
def test_broken_maps_are_user_errors(tmp_path, grid, message):
    with pytest.raises(UserError, match=rf"^env\.layout: .*mine\.layout: {message}"):
        read_layout(write(tmp_path, grid))


def test_cooks_apart_can_pass_things_over_a_counter_or_through_a_pot(tmp_path):
    over_a_counter = ["XXXXX", "O1X2P", "XDXSX"]
    through_a_pot = ["XOXDXX", "X1P2SX", "XXXXXX"]
    for grid in (over_a_counter, through_a_pot):
        assert read_layout(write(tmp_path, grid)).grid == tuple(grid)


def test_a_file_is_data_not_a_program(tmp_path):
    path = tmp_path / "mine.layout"
    path.write_text("__import__('os').getcwd()")
    with pytest.raises(UserError, match=r"mine\.layout: not a dictionary of plain values as Python writes them$"):
        read_layout(str(path))
    with pytest.raises(UserError, match=r"^env.layout: cannot read .*none\.layout: "):
        read_layout(str(tmp_path / "none.layout"))


def test_orders_that_the_old_dynamics_cannot_cook():
    layout = read_layout("cramped_room_o_3orders")
    assert layout.values == (4.0, 9.0, 20.0)
    with pytest.raises(
        UserError, match=r"^env\.dynamics: cramped_room_o_3orders has orders of fewer than three onions"
    ):
        Kitchen(layout, "old")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": " "}, "layout: name a layout"),
        ({"dynamics": "older"}, "dynamics: must be one of old, new, not 'older'"),
        ({"horizon": 0}, "horizon: must be at least 1 step, not 0"),
        ({"partners": ["stay", "greddy"]}, "partners: there is no partner 'greddy'; choose among self, stay, random, "),
        ({"partners": ["stay:1"]}, "partners: there is no partner 'stay:1'; choose among self, stay, random, "),
        ({"partners": ["greedy:0"]}, r"partners: 'greedy:0': write a softness above 0, as in greedy:0\.5"),
        ({"partners": ["greedy:soft"]}, "partners: 'greedy:soft': write a softness above 0"),
        ({"partners": ["greedy:nan"]}, "partners: 'greedy:nan': write a softness above 0"),
        ({"partners": ["human:valid"]}, "partners: 'human:valid': write human, or human:test"),
        ({"partners": ["checkpoint:"]}, "partners: there is no partner 'checkpoint:'"),
        ({"partners": ["virtual"]}, "partners: there is no partner 'virtual'"),
    ],
)
def test_bad_fields_are_named(options, message):
    with pytest.raises(FieldError, match=f"^{message}"):
        OvercookedConfig(**options)
