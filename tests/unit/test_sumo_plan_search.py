import pytest

from genreplay.envs.sumo.baselines.search import LONGEST_GREEN, MAX_PLANS, search_plan


def bowl(*best):
    """A delay with one minimum, and the plans it was asked for."""
    asked = []

    def judge(plans):
        asked.extend(plans)
        return [10.0 + sum((green - b) ** 2 for green, b in zip(plan, best, strict=True)) for plan in plans]

    return judge, asked


@pytest.mark.parametrize("best", [(20, 11), (50, 8), (7, 33)])
def test_it_comes_close_to_the_best_plan(best):
    judge, _ = bowl(*best)
    found = search_plan([30, 30], 3, 5, judge)
    assert all(abs(green - wanted) <= 2 for green, wanted in zip(found.plan, best, strict=True))


def test_every_plan_is_judged_once_within_the_budget_and_the_bounds():
    judge, asked = bowl(200, 0, 60, 5)
    found = search_plan([33, 6, 33, 6], 2, 6, judge)
    assert len(asked) == len(set(asked)) == found.num_plans <= MAX_PLANS
    assert all(6 <= green <= LONGEST_GREEN for plan in asked for green in plan)
    assert (33, 6, 33, 6) in asked
    assert found.delay == min(judge(asked[: found.num_plans]))


def test_nothing_is_better_than_the_map_where_it_is_best():
    judge, _ = bowl(33, 6, 33, 6)
    assert search_plan([33, 6, 33, 6], 2, 5, judge).plan == (33, 6, 33, 6)
