import numpy as np
import pytest

from genreplay.envs.sumo.baselines.search import LONGEST_GREEN, MAX_PLANS, Race, search_plan

NUM_EPISODES = 5


class Bowl:
    """A delay with one minimum, slightly shifted in each episode; an episode above its limit is stopped."""

    def __init__(self, *best, scatter=0.0, seed=0):
        self.best = np.array(best)
        self.shifts = np.random.default_rng(seed).normal(scale=scatter, size=(NUM_EPISODES, len(best)))
        self.episodes = []

    def delay(self, plan, episode):
        return 10.0 + 0.1 * float(np.square(np.array(plan) - self.best - self.shifts[episode]).sum())

    def mean(self, plan):
        return float(np.mean([self.delay(plan, i) for i in range(NUM_EPISODES)]))

    def __call__(self, episodes):
        self.episodes += episodes
        return [min(self.delay(each.plan, each.episode), each.limit + 1.0) for each in episodes]

    @property
    def plans(self):
        return list(dict.fromkeys(each.plan for each in self.episodes))


def search(bowl, map_greens, intergreen=3, min_green=5, known=()):
    phases = len(map_greens)
    return search_plan(map_greens, phases * intergreen, [min_green] * phases, bowl, NUM_EPISODES, known)


@pytest.mark.parametrize("scatter", [0.0, 2.0])
@pytest.mark.parametrize("best", [(20, 11), (50, 8), (7, 33)])
def test_it_comes_close_to_the_best_plan_with_few_episodes(best, scatter):
    bowl = Bowl(*best, scatter=scatter)
    found = search(bowl, [30, 30])
    middle = np.array(best) + bowl.shifts.mean(axis=0)
    assert all(abs(green - wanted) <= 3 for green, wanted in zip(found.plan, middle, strict=True))
    assert found.delay == pytest.approx(bowl.mean(found.plan))
    assert found.num_plans == len(bowl.plans)
    assert len(bowl.episodes) < 0.65 * NUM_EPISODES * found.num_plans


def test_racing_costs_little_in_quality(monkeypatch):
    """Compared with the same search where every plan plays every episode, scattered as in random traffic: at most 3 %
    on the mean of 30 searches, for less than half of the episodes.
    """

    def delays_and_episodes():
        bowls = [
            Bowl(*np.random.default_rng(seed).integers(6, 50, size=4), scatter=1.5, seed=seed) for seed in range(30)
        ]
        delays = [bowl.mean(search(bowl, [33, 6, 33, 6]).plan) for bowl in bowls]
        return np.mean(delays), sum(len(bowl.episodes) for bowl in bowls)

    raced, num_raced = delays_and_episodes()
    monkeypatch.setattr("genreplay.envs.sumo.baselines.search.MARGINS", (float("inf"),))
    monkeypatch.setattr("genreplay.envs.sumo.baselines.search.NUM_FINALISTS", MAX_PLANS)
    whole, num_whole = delays_and_episodes()
    assert raced < 1.03 * whole
    assert num_raced < 0.5 * num_whole


def test_what_is_known_from_elsewhere_saves_episodes():
    cold, warm = Bowl(20, 7, 24, 5), Bowl(20, 7, 24, 5)
    search(cold, [33, 6, 33, 6])
    assert search(warm, [33, 6, 33, 6], known=[(21, 7, 23, 5)]).delay <= 10.5
    assert warm.episodes[0].plan == (21, 7, 23, 5)
    assert len(warm.episodes) < len(cold.episodes)


def test_every_episode_is_played_once_within_the_budget_and_the_bounds():
    bowl = Bowl(200, 0, 60, 5)
    found = search(bowl, [33, 6, 33, 6], 2, 6)
    assert len({(each.plan, each.episode) for each in bowl.episodes}) == len(bowl.episodes)
    assert found.num_plans == len(bowl.plans) <= MAX_PLANS
    assert all(6 <= green <= LONGEST_GREEN for plan in bowl.plans for green in plan)
    assert (33, 6, 33, 6) in bowl.plans


def test_nothing_is_better_than_the_map_where_it_is_best():
    assert search(Bowl(33, 6, 33, 6), [33, 6, 33, 6], 2).plan == (33, 6, 33, 6)


def test_a_race_by_hand():
    """The best is at 10, 10, 10: after one episode 11.5 is the most, and half of the four stay; after two 21."""
    best, late, early, half, jam = ((number,) for number in range(5))
    delays = {best: (10, 10, 10), late: (11.4, 9, 9), early: (9, 13, 1), half: (11, 1, 1), jam: (99, 1, 1)}
    limits = {}

    def play(episodes):
        limits.update({(each.plan, each.episode): each.limit for each in episodes})
        return [delays[each.plan][each.episode] for each in episodes]

    race = Race(best, play, 3)
    race.run([late, early, half, jam])
    assert limits[(jam, 0)] == limits[(late, 0)] == pytest.approx(11.5)
    assert limits[(half, 1)] == pytest.approx(21 - 11)
    assert {key for key in limits if key[0] in (late, jam)} == {(late, 0), (jam, 0)}
    assert (early, 2) not in limits  # 22 after two episodes
    assert limits[(half, 2)] == pytest.approx(30 - 12)
    assert (race.best, race.delay, race.num_plans) == (half, pytest.approx(13 / 3), 5)
    race.run([late, best])
    assert race.num_plans == 5
