"""Synthetic-data diagnostics against answers that are known without them."""

import csv
import io

import numpy as np
import pytest
import torch
from scipy.stats import norm
from tensordict import TensorDict, TensorDictBase

from genreplay.diagnostics.diagnose import MAX_ROWS, MIN_ROWS, diagnose
from genreplay.diagnostics.distances import correlation_gap, coverage, marginal_distances, novelty, one_step_errors
from genreplay.envs.facets import Oracle
from genreplay.reporting import figures
from genreplay.transitions.codec import Codec
from genreplay.transitions.columns import Column, TransitionLayout, continuous_columns
from genreplay.transitions.keys import ACTION, DURATION, NEXT_OBSERVATION, OBSERVATION, REWARD, TERMINATED

# Pure functions ------------------------------------------------------------------------------------------------------


def test_marginal_distances_of_a_shift() -> None:
    """Shifted by 2: W1 is 2 whatever the shape; KS of standard normals is 2 Phi(1) - 1."""
    grid = norm.ppf((np.arange(2000) + 0.5) / 2000)
    wasserstein, ks = marginal_distances(
        np.stack([grid, grid], axis=1), np.stack([grid + 2.0, grid], axis=1), np.array([4.0, 1.0])
    )
    assert wasserstein == pytest.approx([0.5, 0.0])
    assert ks == pytest.approx([2 * norm.cdf(1) - 1, 0.0], abs=1e-3)


def test_correlation_gap_by_hand() -> None:
    """Correlations +1 and -1 differ by 2; a column that never varies is left out."""
    line = np.linspace(0, 1, 50)
    flat = np.full(50, 3.0)
    one, other = np.stack([line, line, flat], axis=1), np.stack([line, -line, flat], axis=1)
    assert correlation_gap(one, other) == pytest.approx(2.0)
    assert correlation_gap(one, one) == 0.0
    assert correlation_gap(one[:, 1:], other[:, 1:]) == 0.0


def test_novelty_knows_copies_fresh_rows_and_strangers() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(800, 6))
    assert novelty(real, real[rng.integers(800, size=500)]) == pytest.approx(0.0, abs=1e-6)
    assert novelty(real, rng.normal(size=(500, 6))) == pytest.approx(1.0, abs=0.05)
    assert novelty(real, rng.normal(size=(500, 6)) + 10.0) > 5


def test_novelty_by_hand() -> None:
    """Real rows 1 apart; synthetic ones half of that from the nearest."""
    real = np.arange(5.0)[:, None]
    assert novelty(real, real[:4] + 0.5) == pytest.approx(0.5)
    assert novelty(np.ones((4, 2)), np.ones((3, 2))) == 0.0


def test_coverage_of_the_same_distribution_and_of_half_of_it() -> None:
    """1 - 2 ** -5 where nothing is missing (Naeem et al., 2020); half of that where one of two modes is."""
    rng = np.random.default_rng(0)
    modes = np.where(np.arange(2000) % 2, 20.0, -20.0)[:, None]
    real, fresh = rng.normal(size=(2000, 4)) + modes, rng.normal(size=(2000, 4)) + modes
    assert coverage(real, fresh) == pytest.approx(1 - 2**-5, abs=0.015)
    assert coverage(real, np.concatenate([fresh[1::2], fresh[1::2]])) == pytest.approx(0.5, abs=0.02)
    assert coverage(real, real) == 1.0


def test_one_step_errors_tell_dynamics_from_chance() -> None:
    """s' = s + a + noise with a tenth of the variance: unexplained 0.1; with shuffled endings about twice the whole."""
    rng = np.random.default_rng(0)
    noise = np.sqrt(2 / 9)  # a tenth of 1 + 1 + 2/9

    def rows(count: int, scatter: float) -> np.ndarray:
        start = rng.normal(size=(count, 2))
        return np.column_stack([start, start.sum(axis=1) + scatter * rng.normal(size=count)])

    real, held_out = rows(1500, noise), rows(1500, noise)
    is_input, is_target = np.array([True, True, False]), np.array([False, False, True])
    shuffled = held_out.copy()
    rng.shuffle(shuffled[:, 2])
    yardstick, error = one_step_errors(real, held_out, rows(1500, noise), is_input, is_target, seed=0)
    assert yardstick == pytest.approx(0.1, abs=0.02)
    assert error == pytest.approx(yardstick, rel=0.15)
    assert one_step_errors(real, held_out, shuffled, is_input, is_target, seed=0)[1] > 1.5
    assert one_step_errors(real, held_out, rows(1500, 0.0), is_input, is_target, seed=0)[1] < 0.3 * yardstick


# Whole transitions ---------------------------------------------------------------------------------------------------

LAYOUT = TransitionLayout(
    (
        *continuous_columns(OBSERVATION, ["place, m"], -100.0, 100.0),
        Column(OBSERVATION, 1, "categorical", "phase", width=2),
        *continuous_columns(ACTION, ["push"], -1.0, 1.0),
        *continuous_columns(NEXT_OBSERVATION, ["next place"], -100.0, 100.0),
        Column(NEXT_OBSERVATION, 1, "categorical", "next phase", width=2),
        *continuous_columns(REWARD, ["reward"], -np.inf, 0.0),
        Column(TERMINATED, 0, "binary", "terminated"),
        Column(DURATION, 0, "continuous", "duration", low=1.0, high=1.0),
    )
)


def transitions(count: int, seed: int, shift: float = 0.0) -> TensorDict:
    """s' = s + a; the phase changes at each step."""
    rng = torch.Generator().manual_seed(seed)
    place, push = torch.randn(count, 1, generator=rng) + shift, torch.rand(count, 1, generator=rng) * 2 - 1
    phase = torch.nn.functional.one_hot(torch.randint(2, (count,), generator=rng), 2).float()
    return TensorDict(
        {
            "observation": torch.cat([place, phase], dim=1),
            "action": push,
            "next": {
                "observation": torch.cat([place + push, phase.flip(1)], dim=1),
                "reward": -(place**2),
                "terminated": torch.zeros(count, 1, dtype=torch.bool),
                "duration": torch.ones(count, 1),
            },
        },
        [count],
    )


@pytest.fixture
def codec() -> Codec:
    return Codec(LAYOUT)


def test_fresh_real_rows_measure_as_the_yardstick(codec: Codec) -> None:
    metrics = diagnose(codec, transitions(2000, 0), codec.encode(transitions(5000, 1)), seed=0).metrics
    assert metrics["wasserstein_mean"] == pytest.approx(metrics["wasserstein_yardstick"], abs=0.03)
    assert metrics["ks_max"] < 0.08
    assert metrics["correlation_gap"] < 0.05
    assert metrics["one_step_error"] == pytest.approx(metrics["one_step_error_yardstick"], abs=0.02)
    assert metrics["novelty"] == pytest.approx(1.0, abs=0.15)
    assert metrics["coverage"] == pytest.approx(metrics["coverage_yardstick"], abs=0.03)
    assert (metrics["invalid_rows"], metrics["projection_distance"]) == (0.0, 0.0)


def test_a_shifted_generator_is_seen_in_its_columns(codec: Codec) -> None:
    diagnosis = diagnose(codec, transitions(2000, 0), codec.encode(transitions(5000, 1, shift=3.0)), seed=0)
    columns = dict(zip(diagnosis.columns.names, diagnosis.columns.wasserstein, strict=True))
    assert columns["place, m"] == pytest.approx(3.0, abs=0.15)
    assert columns["push"] < 0.1
    assert columns["phase[0]"] < 0.1
    assert diagnosis.metrics["wasserstein_max"] == max(columns.values())


def test_invalid_rows_are_those_that_the_codec_moves(codec: Codec) -> None:
    """Rounding costs nothing; a value out of range and a one-hot without a clear choice do."""
    rows = codec.encode(transitions(100, 1))
    rows[:, 1:3] = rows[:, 1:3] * 0.8 + 0.1  # still clear
    rows[:10, 3] = 1.5  # push beyond its bound by 0.5
    rows[90:, 1], rows[90:, 2] = 0.9, 0.8
    diagnosis = diagnose(codec, transitions(2000, 0), rows, seed=0)
    assert diagnosis.metrics["invalid_rows"] == pytest.approx(0.2)
    invalid = dict(zip(diagnosis.columns.names, diagnosis.columns.invalid, strict=True))
    assert invalid["push"] == pytest.approx(0.1)
    assert invalid["phase[1]"] == pytest.approx(0.1)
    assert invalid["place, m"] == 0.0
    push_scale = dict(zip(diagnosis.columns.names, diagnosis.columns.scale, strict=True))["push"]
    phase_scale = dict(zip(diagnosis.columns.names, diagnosis.columns.scale, strict=True))["phase[1]"]
    moved = (10 * 0.5 / push_scale + 10 * 0.3 / phase_scale) / (100 * codec.width)
    assert diagnosis.metrics["projection_distance"] == pytest.approx(moved, rel=1e-4)


def test_a_perfect_sampler_with_prompts_measures_as_the_prompted_yardstick(codec: Codec) -> None:
    """Prompts from the best tenth by reward: the marginals differ from all real rows', and not from those rows'."""

    def best(transitions: TensorDict) -> TensorDict:
        return transitions[transitions["next", "reward"].view(-1).topk(len(transitions) // 10).indices]

    real = transitions(8000, 0)
    diagnosis = diagnose(codec, real, codec.encode(best(transitions(8000, 1))), seed=0, prompted=best(real))
    metrics = diagnosis.metrics
    assert metrics["wasserstein_mean"] > 5 * metrics["wasserstein_yardstick"]
    assert metrics["ks_mean"] > 4 * metrics["ks_yardstick"]
    assert metrics["prompted_wasserstein_mean"] == pytest.approx(metrics["prompted_wasserstein_yardstick"], abs=0.02)
    assert metrics["prompted_wasserstein_max"] < 0.1
    assert metrics["prompted_ks_mean"] == pytest.approx(metrics["prompted_ks_yardstick"], abs=0.02)
    assert diagnosis.prompted is not None
    assert diagnosis.prompted.shape == (800, codec.width)
    ignores_prompts = diagnose(codec, real, codec.encode(transitions(8000, 1)), seed=0, prompted=best(real)).metrics
    assert ignores_prompts["prompted_wasserstein_mean"] > 5 * ignores_prompts["prompted_wasserstein_yardstick"]


def test_without_prompts_or_with_too_few_rows_nothing_is_said_of_them(codec: Codec) -> None:
    real, rows = transitions(100, 0), codec.encode(transitions(100, 1))
    for prompted in (None, real[: MIN_ROWS - 1]):
        diagnosis = diagnose(codec, real, rows, seed=0, prompted=prompted)
        assert not [name for name in diagnosis.metrics if name.startswith(("prompted", "simulator"))]
        assert np.isnan(diagnosis.columns.prompted_ks).all()
        assert diagnosis.prompted is None


class Simulator(Oracle):
    """The dynamics of `transitions`; a place beyond 50 m is impossible."""

    def simulate(self, transitions: TensorDictBase) -> TensorDict:
        place, phase = transitions["observation"][:, :1], transitions["observation"][:, 1:]
        following = {
            "observation": torch.cat([place + transitions["action"], phase.flip(1)], dim=1),
            "reward": -(place**2),
            "terminated": torch.zeros(len(place), 1, dtype=torch.bool),
        }
        return TensorDict({"next": following, "possible": place.view(-1) <= 50.0}, [len(place)])


def test_the_simulators_answer_tells_broken_rows(codec: Codec) -> None:
    real, broken = transitions(2000, 0), transitions(400, 1)
    broken["next", "observation"][:40, 0] += 3.0
    broken["next", "observation"][40:60, 1:] = broken["next", "observation"][40:60, 1:].flip(1)
    broken["observation"][380:, 0] = 60.0
    broken["next", "observation"][380:, 0] = 60.0 + broken["action"][380:, 0]
    broken["next", "reward"][380:] = -3600.0
    metrics = diagnose(codec, real, codec.encode(broken), seed=0, oracle=Simulator()).metrics
    assert metrics["simulator_invalid_rows"] == pytest.approx(80 / 400)
    assert metrics["simulator_impossible_states"] == pytest.approx(20 / 400)
    assert metrics["simulator_error"] > 0.01
    for name in ("simulator_error", "simulator_invalid_rows", "simulator_impossible_states"):
        assert metrics[f"{name}_yardstick"] == 0.0
    assert "simulator_error" not in diagnose(codec, real, codec.encode(real), seed=0).metrics


def test_diagnosing_repeats_and_moves_no_global_stream(codec: Codec) -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state(legacy=True)[1].copy()
    first, second = (
        diagnose(codec, transitions(200, 0), codec.encode(transitions(300, 1)), seed=3).metrics for _ in range(2)
    )
    assert first == second
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state(legacy=True)[1], before[1])


@pytest.mark.parametrize(("num_real", "num_synthetic"), [(MIN_ROWS, MIN_ROWS), (21, 30), (5000, 25)])
def test_any_number_of_rows_will_do(codec: Codec, num_real: int, num_synthetic: int) -> None:
    diagnosis = diagnose(codec, transitions(num_real, 0), codec.encode(transitions(num_synthetic, 1)), seed=0)
    assert all(np.isfinite(value) for value in diagnosis.metrics.values())
    assert len(diagnosis.real) == min(num_real, MAX_ROWS)


def test_the_table_has_a_line_for_each_column(codec: Codec) -> None:
    diagnosis = diagnose(codec, transitions(100, 0), codec.encode(transitions(100, 1)), seed=0)
    table = list(csv.DictReader(io.StringIO(diagnosis.columns.to_csv())))
    assert [line["column"] for line in table] == list(diagnosis.columns.names)
    assert float(table[0]["wasserstein"]) == pytest.approx(diagnosis.columns.wasserstein[0], rel=1e-5)


def test_the_figure_draws_the_columns_that_differ_most(codec: Codec) -> None:
    diagnosis = diagnose(codec, transitions(500, 0), codec.encode(transitions(500, 1, shift=3.0)), seed=0)
    figure = figures.synthetic_and_real(diagnosis, "title")
    titles = [axes.get_title() for axes in figure.axes]
    worst = int(np.argmax(diagnosis.columns.wasserstein))
    assert titles[0].startswith(f"{diagnosis.columns.names[worst]}\nW1 {diagnosis.columns.wasserstein[worst]:.2f} sd")
    assert [title for title in titles if title.startswith("correlation")] == [
        "correlation, real",
        "correlation, synthetic",
        "correlation, synthetic - real",
    ]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["real", "synthetic"]
    prompted = diagnose(
        codec, transitions(500, 0), codec.encode(transitions(500, 1)), seed=0, prompted=transitions(90, 2)
    )
    axes = figures.synthetic_and_real(prompted, "title").axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["real", "real, as prompted", "synthetic"]
    assert "as prompted" in axes.get_title()
