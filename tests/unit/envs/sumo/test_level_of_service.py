import pytest

from genreplay.envs.sumo.level_of_service import level_of_service


@pytest.mark.parametrize(
    ("delay", "letter"),
    [(0, "A"), (10, "A"), (10.1, "B"), (20, "B"), (20.1, "C"), (35, "C"), (35.1, "D"), (55, "D"), (55.1, "E"),
     (80, "E"), (80.1, "F"), (500, "F")],
)  # fmt: skip
def test_the_limits_of_the_highway_capacity_manual(delay: float, letter: str) -> None:
    assert level_of_service(delay) == letter
    assert level_of_service(delay, 1.0) == letter
    assert level_of_service(delay, 1.01) == "F"
