"""The loop's own arithmetic: the prompts."""

import torch

from genreplay.loop import draw_prompts


def test_prompts_come_from_the_top_fraction_only() -> None:
    relevance = torch.arange(100.0).unsqueeze(1)[torch.randperm(100, generator=torch.Generator().manual_seed(0))]
    prompts = draw_prompts(relevance, 5000, top_fraction=0.25, seed=1)
    assert prompts.shape == (5000, 1)
    assert set(prompts.view(-1).tolist()) == set(range(75, 100))


def test_prompts_repeat_with_their_seed_and_differ_with_another() -> None:
    relevance = torch.rand(50, 1, generator=torch.Generator().manual_seed(0))
    first = draw_prompts(relevance, 20, 0.5, seed=1)
    assert torch.equal(first, draw_prompts(relevance, 20, 0.5, seed=1))
    assert not torch.equal(first, draw_prompts(relevance, 20, 0.5, seed=2))


def test_a_fraction_smaller_than_one_row_takes_the_best_row() -> None:
    relevance = torch.tensor([[1.0], [3.0], [2.0]])
    assert draw_prompts(relevance, 4, 0.01, seed=0).view(-1).tolist() == [3.0] * 4
