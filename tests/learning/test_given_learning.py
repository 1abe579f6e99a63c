"""Stages that are given fit what follows them, as stages that are generated as numbers do not; so do outcomes."""

import pytest
import torch

from genreplay.config.schema import SynthesisConfig
from genreplay.generators.distributed.team import Team, make_fabric
from genreplay.replay.synthesis import Generated
from tests.helpers.stages import (
    CODEC,
    COVARIANCE,
    NEXT,
    SHARES,
    STAGE,
    expected,
    stage_generator,
    stage_rows,
    transitions,
)

NUM_ROWS = 4000
FIT = {"fit.num_steps": 500, "fit.batch_size": 256, "fit.learning_rate": 4e-3}


def drawn_with(options, conditional=False):
    """Rows `[NUM_ROWS, 8]` of a generator that was fitted to stages, and the generator."""
    real = transitions(stage_rows(NUM_ROWS))
    # The last stage is of no interest; the rarer ones are of most.
    relevance = (CODEC.encode(real)[:, STAGE] @ torch.tensor([0.1, 0.2, 1.0, 0.0])).unsqueeze(1)
    generator = stage_generator(conditional, **FIT | options)
    with Team(make_fabric("cpu"), generator) as team:
        synthesis = Generated(SynthesisConfig(), CODEC, team)
        source = synthesis.source(real, relevance if conditional else None)
        synthesis.fit(source, seed=0)
        return synthesis.draw(source, NUM_ROWS, seed=1).rows, generator, source


def stage_errors(rows):
    """For each stage the error of the mean of the next queue, and the deviation from its own mean, `[4]` each."""
    rows = CODEC.project(rows)
    off, stage = (rows[:, NEXT] - expected(rows))[:, 0], rows[:, STAGE].bool()
    of_stage = [off[stage[:, k]] for k in range(4)]
    return tuple(
        torch.stack([f(one) for one in of_stage]) for f in (torch.mean, lambda one: one.square().mean().sqrt())
    )


@pytest.mark.slow
def test_given_stages_are_valid_as_frequent_as_in_the_data_and_fit_what_follows():
    real_std = COVARIANCE[0, 0].sqrt()
    rows, generator, _ = drawn_with({"categories": "given", "fit.given_share": 0.25})
    assert torch.equal(CODEC.project(rows)[:, STAGE], rows[:, STAGE])
    assert (rows[:, STAGE].mean(dim=0) - SHARES).abs().max() < 0.02
    bias, deviation = stage_errors(rows)
    assert bias.abs().max() < 0.15
    assert deviation.max() < 1.15 * real_std

    as_numbers, _, _ = drawn_with({})
    assert (CODEC.project(as_numbers)[:, STAGE] != as_numbers[:, STAGE]).any(dim=1).float().mean() > 0.9
    assert stage_errors(as_numbers)[1].max() > 1.5 * real_std, "the rarest stage is mistaken for another one"

    # The same network completes a given state and action, here one whose outcome has a known mean and covariance.
    one = stage_rows(1, seed=9).expand(NUM_ROWS, -1)
    outcome = generator.complete(one, seed=3).rows[:, NEXT]
    assert (outcome.mean(dim=0) - expected(one)[0]).abs().max() < 0.1
    assert torch.allclose(torch.cov(outcome.T), COVARIANCE, atol=0.05)
    bias, deviation = stage_errors(generator.complete(stage_rows(NUM_ROWS, seed=5), seed=3).rows)
    assert bias.abs().max() < 0.15
    assert deviation.max() < 1.15 * real_std


@pytest.mark.slow
def test_with_relevance_stages_come_from_the_rows_whose_relevance_is_the_prompt():
    rows, _, source = drawn_with({"categories": "given"}, conditional=True)
    shares = CODEC.encode(source.most_relevant)[:, STAGE].mean(dim=0)
    assert (rows[:, STAGE].mean(dim=0) - shares).abs().max() < 0.02
    assert rows[:, STAGE][:, 2].mean() > 3 * SHARES[2]
    assert stage_errors(rows)[0][1:3].abs().max() < 0.2
