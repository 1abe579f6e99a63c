"""What every registered part owes the others. The parts of examples/extending take part as those of a plug-in."""

import copy
from collections.abc import Iterator

import pytest
import torch
from lightning.fabric import Fabric
from tensordict import TensorDict
from torchrl.envs.utils import check_env_specs

from genreplay.agents.base import EnsembleAgent
from genreplay.build import build_agent, build_generator, build_relevance
from genreplay.common.seeding import derive_seed
from genreplay.generators.base import Generator
from genreplay.generators.fitting import fit
from genreplay.replay.collection import Collection
from genreplay.transitions.codec import Codec
from genreplay.transitions.keys import IS_SYNTHETIC
from tests.helpers.parts import agent_for, experiment, home_of, named, random_rows, world_of
from tests.helpers.plugin import registered_examples
from tests.helpers.redq_sac import assert_same_state

"""Options that make a part quick to test; a part that is not here is tested with its own defaults."""
NUM_WORKERS, NUM_ROWS = 2, 40


@pytest.fixture(autouse=True, scope="module")
def _plugin() -> Iterator[None]:
    """The parts of examples/extending are registered as long as these tests run."""
    with registered_examples():
        yield


# Environments ----------------------------------------------------------------------------------------------------


def collection(env: str) -> Collection:
    """Simulators that collect random decisions."""
    world = world_of(env)
    simulators = world.make_env(NUM_WORKERS, lambda worker, index: derive_seed(0, "episode", worker, index))
    policy = agent_for(env).policy(deterministic=False)
    return Collection(simulators, policy, 10_000, world.layout.stored_keys)


def collected(source: Collection, num_steps: int) -> TensorDict:
    return torch.cat([source.next() for _ in range(num_steps)])


@pytest.mark.parametrize("env", named("env"))
def test_an_environment_keeps_torchrl_s_specs(env: str) -> None:
    simulators = world_of(env).make_env(NUM_WORKERS, lambda worker, index: index)
    check_env_specs(simulators)
    simulators.close()


@pytest.mark.parametrize("env", named("env"))
def test_an_environment_repeats_itself_and_goes_on_from_its_state(env: str) -> None:
    whole, again, resumed = (collection(env) for _ in range(3))
    try:
        torch.manual_seed(0)
        rows = collected(whole, 7)
        assert len(rows) == 7 * NUM_WORKERS
        whole.finished_episodes()
        state, stream = whole.state_dict(), torch.get_rng_state()
        rest = collected(whole, 7)
        episodes = whole.finished_episodes()
        assert episodes, "the test must see an episode end"
        torch.manual_seed(0)
        assert (collected(again, 7) == rows).all()
        resumed.load_state_dict(state)
        torch.set_rng_state(stream)
        assert (collected(resumed, 7) == rest).all()
        assert resumed.finished_episodes() == episodes
    finally:
        for source in (whole, again, resumed):
            source.shutdown()


@pytest.mark.parametrize("env", named("env"))
def test_an_environment_gives_what_its_layout_says(env: str) -> None:
    world, source = world_of(env), collection(env)
    torch.manual_seed(0)
    try:
        rows = collected(source, 20)
        episodes = source.finished_episodes()
    finally:
        source.shutdown()
    assert {key: rows[key].shape[1] for key in world.layout.widths()} == world.layout.widths()
    for column in world.layout.columns:
        values = rows[column.key][:, column.start : column.start + column.width]
        if column.kind == "continuous":
            assert values.min() >= column.low - 1e-5, column.name
            assert values.max() <= column.high + 1e-5, column.name
        else:
            assert ((values == 0) | (values == 1)).all(), column.name
        if column.kind == "categorical":
            assert (values.sum(dim=1) == 1).all(), column.name
    for derive in (True, False):
        codec = Codec(world.layout, derive)
        decoded = codec.decode(codec.encode(rows))
        for key in world.layout.widths():
            torch.testing.assert_close(decoded[key], rows[key], rtol=1e-5, atol=1e-5, check_dtype=False)
    assert {"seed", "return", "num_decisions", world.primary_metric} <= set(episodes[0])
    assert world.primary_metric in world.shown_units or not world.shown_units


# Agents ----------------------------------------------------------------------------------------------------------


def stepped(agent: EnsembleAgent, block: TensorDict) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return agent.training_step(block)


@pytest.mark.parametrize("name", named("agent"))
def test_an_agent_learns_and_goes_on_from_its_state(name: str) -> None:
    env = home_of("agent", name)
    config = experiment(env=env, agent=name)
    agent = build_agent(config, world_of(env))
    block = random_rows(env, config.agent.critic_updates_per_actor_update, 16)
    before = copy.deepcopy(agent.state_dict())
    metrics = stepped(agent, block)
    assert all(value.shape == () and not value.requires_grad for value in metrics.values())
    assert metrics["critic_loss"].isfinite()
    assert any(not torch.equal(value, before[key]) for key, value in agent.state_dict().items())

    config.seed = 99
    resumed = build_agent(config, world_of(env))
    resumed.load_state_dict(copy.deepcopy(agent.state_dict()))
    resumed.load_optimizer_state_dict(copy.deepcopy(agent.optimizer_state_dict()))
    for each in (agent, resumed):
        each.set_progress(60)
    torch.testing.assert_close(stepped(agent, block), stepped(resumed, block), rtol=0, atol=0, equal_nan=True)
    assert_same_state(agent.state_dict(), resumed.state_dict())
    optimizers = (
        {name: adam["state"] for name, adam in each.optimizer_state_dict().items()} for each in (agent, resumed)
    )
    assert_same_state(*optimizers)


@pytest.mark.parametrize("name", named("agent"))
def test_an_agent_does_not_know_which_rows_are_synthetic(name: str) -> None:
    env = home_of("agent", name)
    config = experiment(env=env, agent=name)
    block = random_rows(env, config.agent.critic_updates_per_actor_update, 16)
    flags = torch.rand(block[IS_SYNTHETIC].shape, generator=torch.Generator().manual_seed(0)) < 0.3
    one, other = (build_agent(config, world_of(env)) for _ in range(2))
    metrics = stepped(one, block.clone().set(IS_SYNTHETIC, flags))
    swapped = stepped(other, block.clone().set(IS_SYNTHETIC, ~flags))
    assert_same_state(one.state_dict(), other.state_dict())
    assert metrics["critic_loss_real"] == swapped["critic_loss_synthetic"]
    assert metrics["critic_loss_real"] != metrics["critic_loss_synthetic"]


@pytest.mark.parametrize("name", named("agent"))
def test_an_agent_asks_without_moving_a_random_stream(name: str) -> None:
    env = home_of("agent", name)
    agent, rows = build_agent(experiment(env=env, agent=name), world_of(env)), random_rows(env, NUM_ROWS)
    stream = torch.get_rng_state()
    error = agent.td_error(rows)
    assert error.shape == (NUM_ROWS, 1)
    assert (error >= 0).all()
    assert torch.equal(agent.td_error(rows), error)
    actions = agent.resample_actions(rows, torch.Generator().manual_seed(0))
    assert actions.shape == rows["action"].shape
    assert actions.abs().max() <= 1
    assert torch.equal(torch.get_rng_state(), stream)


@pytest.mark.parametrize("name", named("agent"))
def test_the_deterministic_policy_of_an_agent_stays_in_range(name: str) -> None:
    env = home_of("agent", name)
    world = world_of(env)
    policy = build_agent(experiment(env=env, agent=name), world).policy(deterministic=True)
    simulators = world.make_env(NUM_WORKERS, lambda worker, index: index)
    seen, stream = simulators.reset(), torch.get_rng_state()
    first = policy(seen.clone())[policy.out_keys[0]]
    assert torch.equal(policy(seen.clone())[policy.out_keys[0]], first)
    assert first.isfinite().all()
    assert first.abs().max() <= 1
    assert torch.equal(torch.get_rng_state(), stream)
    simulators.close()


# Generators ------------------------------------------------------------------------------------------------------


def fitted(name: str, conditional: bool) -> tuple[Generator, Codec]:
    env = home_of("generator", name)
    codec = Codec(world_of(env).layout)
    config = experiment(env=env, generator=name, relevance="reward" if conditional else "none")
    generator = build_generator(config, codec)
    assert generator is not None
    rows = codec.encode(random_rows(env, NUM_ROWS))
    condition = torch.linspace(0, 1, NUM_ROWS).unsqueeze(1) if conditional else None
    metrics = fit(Fabric(accelerator="cpu", devices=1), generator, rows, condition, seed=0)
    assert metrics["num_steps"] > 0
    return generator, codec


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("name", named("generator"))
def test_a_generator_draws_valid_rows_that_repeat(name: str, conditional: bool) -> None:
    generator, codec = fitted(name, conditional)
    condition = torch.full((20, 1), 0.5) if conditional else None
    sampled = generator.sample(20, condition, seed=1)
    decoded = codec.decode(sampled.rows)
    assert decoded[IS_SYNTHETIC].all()
    torch.testing.assert_close(codec.encode(decoded), codec.project(sampled.rows))
    assert torch.equal(generator.sample(20, condition, seed=1).rows, sampled.rows)
    assert not torch.equal(generator.sample(20, condition, seed=2).rows, sampled.rows)
    again, _ = fitted(name, conditional)
    assert torch.equal(again.sample(20, condition, seed=1).rows, sampled.rows), "a fit depends on its seed alone"


@pytest.mark.parametrize("name", named("generator"))
def test_ranks_share_the_sampling_of_a_generator_without_a_trace(name: str) -> None:
    generator, _ = fitted(name, conditional=True)
    condition = torch.rand(45, 1)
    whole = generator.sample(45, condition, seed=2).pack()
    assert whole.shape == (45, generator.packed_width)
    for num_parts in (2, 3, 5):
        parts = [generator.sample(45, condition, 2, part, num_parts).pack() for part in range(num_parts)]
        assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("name", named("generator"))
def test_a_generator_is_saved_and_loaded(name: str) -> None:
    generator, codec = fitted(name, conditional=False)
    other = build_generator(experiment(env=home_of("generator", name), generator=name), codec)
    assert other is not None
    assert not other.fitted
    other.load_state_dict(copy.deepcopy(generator.state_dict()))
    assert other.fitted
    assert torch.equal(other.sample(20, None, seed=3).rows, generator.sample(20, None, seed=3).rows)


# Relevance -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env", named("env"))
@pytest.mark.parametrize("name", named("relevance"))
def test_a_relevance_scores_learns_and_goes_on_from_its_state(name: str, env: str) -> None:
    config, agent = experiment(env=env, generator="edm", relevance=name), agent_for(env)
    relevance, resumed = (build_relevance(config, world_of(env).layout, agent) for _ in range(2))
    assert relevance is not None
    assert resumed is not None
    rows, state, stream = random_rows(env, NUM_ROWS), copy.deepcopy(relevance.state_dict()), torch.get_rng_state()
    first = relevance.score(rows)
    assert first.shape == (NUM_ROWS, 1)
    assert first.dtype == torch.float32
    assert not first.requires_grad
    assert torch.equal(relevance.score(rows), first)
    assert torch.equal(torch.get_rng_state(), stream)
    assert_same_state(relevance.state_dict(), state)
    first.zero_()
    assert (rows == random_rows(env, NUM_ROWS)).all()
    for loss in relevance.update(rows).values():
        assert loss.isfinite()
        assert loss.shape == ()
        assert not loss.requires_grad
    resumed.load_state_dict(copy.deepcopy(relevance.state_dict()))
    resumed.load_optimizer_state_dict(copy.deepcopy(relevance.optimizer_state_dict()))
    assert relevance.update(rows) == resumed.update(rows)
    assert torch.equal(relevance.score(rows), resumed.score(rows))
