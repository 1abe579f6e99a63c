import pytest
import torch
from tensordict import TensorDict

import genreplay.relevance.base as base
from genreplay.common.errors import FieldError, UserError
from genreplay.relevance.config import CuriosityConfig, NoveltyConfig, RewardConfig, TdErrorConfig
from genreplay.relevance.curiosity import Curiosity
from genreplay.relevance.novelty import Novelty, RunningNormalizer
from genreplay.relevance.reward import Reward
from genreplay.relevance.td_error import TdError
from genreplay.transitions.columns import TransitionLayout, continuous_columns

OBSERVATION_WIDTH, ACTION_WIDTH = 3, 2
LAYOUT = TransitionLayout(
    (
        *continuous_columns("observation", ["a", "b", "c"], -9.0, 9.0),
        *continuous_columns("action", ["x", "y"], -1.0, 1.0),
    )
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Nets this small lose by more threads, and lose badly where other work has the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def td_error(transitions):
    return transitions["next", "reward"].abs() + 1


SMALL = {
    "curiosity": (Curiosity, CuriosityConfig(hidden_width=32, num_blocks=2, learning_rate=3e-3)),
    "novelty": (Novelty, NoveltyConfig(hidden_width=32, feature_width=16, learning_rate=3e-3)),
    "td_error": (TdError, TdErrorConfig()),
    "reward": (Reward, RewardConfig()),
}
ALL, LEARNING = pytest.mark.parametrize("name", SMALL), pytest.mark.parametrize("name", ["curiosity", "novelty"])


def make(name, seed=0):
    torch.manual_seed(seed)
    part, config = SMALL[name]
    assert issubclass(part, base.Relevance)
    return part.for_layout(config, LAYOUT, td_error)


def transitions(num_rows, center=0.0, seed=0):
    """A small deterministic environment around `center`: s' = s + 0.3 (a1, a2, a1 * a2) + 0.1 sin(3 s)."""
    generator = torch.Generator().manual_seed(seed)
    observation = center + 0.5 * torch.randn(num_rows, OBSERVATION_WIDTH, generator=generator)
    action = torch.rand(num_rows, ACTION_WIDTH, generator=generator) * 2 - 1
    push = torch.cat([action, action[:, :1] * action[:, 1:]], dim=1)
    return TensorDict(
        {
            "observation": observation,
            "action": action,
            "next": {
                "observation": observation + 0.3 * push + 0.1 * torch.sin(3 * observation),
                "reward": torch.randn(num_rows, 1, generator=generator),
            },
        },
        batch_size=[num_rows],
    )


def train(relevance, num_updates, rows):
    generator = torch.Generator().manual_seed(1)
    return [relevance.update(rows[torch.randint(len(rows), (64,), generator=generator)]) for _ in range(num_updates)]


@ALL
def test_score_in_chunks_is_the_score_of_all(name, monkeypatch):
    relevance, rows = make(name), transitions(50)
    whole = relevance.score(rows)
    monkeypatch.setattr(base, "CHUNK_ROWS", 8)
    assert torch.allclose(relevance.score(rows), whole, atol=1e-6)


@LEARNING
def test_error_falls_on_seen_transitions_and_stays_higher_where_nothing_was_seen(name):
    relevance = make(name)
    seen, held_out = transitions(400), transitions(200, seed=5)
    unseen = transitions(200, center=3.0, seed=6)
    before = relevance.score(seen).mean()
    losses = train(relevance, 400, seen)
    assert set(losses[0]) == {"curiosity": {"forward_loss", "inverse_loss"}, "novelty": {"predictor_loss"}}[name]
    after, held_out_after, unseen_after = (relevance.score(rows).mean() for rows in (seen, held_out, unseen))
    assert after < 0.5 * before
    assert unseen_after > 4 * held_out_after
    # Nearly every unseen row is above the seen ones' 90 % quantile, so the top fraction would be theirs.
    assert (relevance.score(unseen) > relevance.score(seen).quantile(0.9)).float().mean() > 0.8


def test_the_inverse_model_learns_which_action_was_taken():
    losses = train(make("curiosity"), 300, transitions(400))
    assert losses[-1]["inverse_loss"] < 0.5 * losses[0]["inverse_loss"]


def test_no_two_layers_of_the_curiosity_network_share_weights():
    curiosity = make("curiosity")
    blocks = list(curiosity.forward_model.blocks)
    assert len(blocks) == 2
    pointers = [p.data_ptr() for p in curiosity.parameters()]
    assert len(set(pointers)) == len(pointers)
    assert not torch.equal(blocks[0].first.weight, blocks[1].first.weight)
    assert sum(p.numel() for p in blocks[0].parameters()) == 2 * ((32 + ACTION_WIDTH) * 32 + 32)


def test_a_residual_block_without_weights_passes_its_input_on():
    block = make("curiosity").forward_model.blocks[0]
    torch.nn.init.zeros_(block.second.weight)
    torch.nn.init.zeros_(block.second.bias)
    hidden = torch.randn(5, 32)
    assert torch.equal(block(hidden, torch.randn(5, ACTION_WIDTH)), hidden)


def test_curiosity_is_the_forward_models_error_in_feature_space():
    curiosity, rows = make("curiosity"), transitions(10)
    with torch.no_grad():
        predicted = curiosity.forward_model(curiosity.features(rows["observation"]), rows["action"])
        features = curiosity.features(rows["next", "observation"])
    assert torch.allclose(curiosity.score(rows), ((predicted - features) ** 2).mean(1, keepdim=True))


def test_the_target_of_novelty_never_moves():
    novelty = make("novelty")
    before = [p.clone() for p in novelty.target.parameters()]
    train(novelty, 20, transitions(100))
    assert all(torch.equal(a, b) for a, b in zip(before, novelty.target.parameters(), strict=True))
    assert not any(p.requires_grad for p in novelty.target.parameters())


def test_novelty_does_not_depend_on_the_scale_of_the_observations():
    scores = []
    for scale in (1.0, 1000.0):
        novelty, rows = make("novelty"), transitions(300)
        rows["next", "observation"] *= scale
        train(novelty, 30, rows)
        scores.append(novelty.score(rows))
    assert torch.allclose(*scores, rtol=0.05)


def test_running_statistics_are_those_of_all_rows_together():
    batches = [torch.randn(n, 3, generator=torch.Generator().manual_seed(n)) * n + n for n in (5, 17, 40)]
    normalizer = RunningNormalizer(3, clip=1.5)
    for batch in batches:
        normalizer.update(batch)
    together = torch.cat(batches)
    assert torch.allclose(normalizer.mean, together.mean(0), rtol=1e-4)
    assert torch.allclose(normalizer.variance, together.var(0, correction=0), rtol=1e-4)
    expected = ((together - together.mean(0)) / together.std(0, correction=0)).clamp(-1.5, 1.5)
    assert torch.allclose(normalizer(together), expected, atol=1e-3)


def test_an_observation_that_never_varies_gives_no_novelty_of_its_own():
    normalizer = RunningNormalizer(1, clip=5.0)
    normalizer.update(torch.full((10, 1), 0.3))
    assert normalizer(torch.full((1, 1), 0.3 + 1e-7)).abs().item() < 0.01


def test_td_error_is_the_agents():
    rows = transitions(20)
    assert torch.equal(make("td_error").score(rows), td_error(rows))


def test_reward_keeps_its_sign():
    rows = transitions(20)
    score = make("reward").score(rows)
    assert torch.equal(score, rows["next", "reward"])
    assert score.min() < 0


@pytest.mark.parametrize("name", ["td_error", "reward"])
def test_those_with_nothing_to_learn_learn_nothing(name):
    relevance = make(name)
    assert relevance.update(transitions(8)) == {}
    assert relevance.optimizer_state_dict() == {}
    relevance.load_optimizer_state_dict({})
    message = f"^{type(relevance).__name__}: the checkpoint is of a relevance function of another kind$"
    with pytest.raises(ValueError, match=message):
        relevance.load_optimizer_state_dict({"state": {}})


def test_scores_that_are_not_finite_are_an_error():
    rows = transitions(20)
    rows["next", "reward"][3:5] = torch.nan
    message = (
        "^Reward: relevance is not finite for 2 of 20 transitions; the network has diverged, lower its learning rate$"
    )
    with pytest.raises(UserError, match=message):
        make("reward").score(rows)


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (CuriosityConfig, {"hidden_width": 0}, "hidden_width: must be at least 1, not 0"),
        (CuriosityConfig, {"num_blocks": 0}, "num_blocks: must be at least 1, not 0"),
        (CuriosityConfig, {"learning_rate": 0.0}, "learning_rate: must be above 0, not 0.0"),
        (CuriosityConfig, {"forward_weight": 1.0}, r"forward_weight: must lie in \(0, 1\): both models learn; not 1.0"),
        (NoveltyConfig, {"feature_width": 0}, "feature_width: must be at least 1, not 0"),
        (NoveltyConfig, {"observation_clip": -1.0}, "observation_clip: must be above 0, not -1.0"),
    ],
)
def test_bad_fields_are_named(config, options, message):
    with pytest.raises(FieldError, match=f"^{message}$"):
        config(**options)
