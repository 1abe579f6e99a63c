"""A first run from Python: train on Pendulum, then use what the run left behind. It takes less than a minute.

    python examples/first_run.py

The networks and the run are tiny: the pendulum does not learn to stand, but every part of genreplay works once.
"""

import numpy as np

import genreplay

TINY = [
    "loop.num_env_steps=1200",
    "loop.utd_ratio=2",
    "loop.evaluate_every_env_steps=600",
    "loop.num_synthetic_rows=2000",
    "agent.hidden_width=32",
    "agent.ensemble_size=2",
    "generator.network.hidden_width=64",
    "generator.fit.num_steps=300",
    "evaluation.seeds=[1,2]",
    "fabric.accelerator=cpu",
]


def main() -> None:
    """Train, load, sample and evaluate."""
    config = genreplay.load_config("pendulum_pgr", TINY)
    run = genreplay.train(config)
    print(f"run {run.run_id}; its checkpoint is in {run.checkpoint_dir}")

    # The transitions that the agent learned from, as TensorDicts.
    buffer = genreplay.load_buffer(run)
    real = buffer.real_transitions()
    print(f"{len(real)} real and {buffer.num_synthetic} synthetic transitions; keys: {sorted(real.keys())}")

    # New transitions from the generator of the run, made valid by the codec.
    sampled = genreplay.load_generator(run).sample(1000, seed=0)
    for name, rows in (("real", real), ("sampled", sampled)):
        print(f"{name} rewards: {rows['next', 'reward'].mean():.2f} on average")

    # The policy: on observations of your own, and on whole episodes with fixed seeds.
    policy = genreplay.load_policy(run)
    upright = np.array([[1.0, 0.0, 0.0]])  # cosine and sine of the angle, angular velocity
    print(f"action at rest on top: {policy.act(upright)[0, 0]:.3f}")
    for episode in genreplay.evaluate(policy, seeds=[101, 102]):
        print(f"episode of seed {episode['seed']}: return {episode['return']:.0f}")


if __name__ == "__main__":
    main()
