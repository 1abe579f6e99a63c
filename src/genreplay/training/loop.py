"""The algorithm: collect, fit the generator to what was seen, update the agent on a mix of both.

Wang et al. (2025), "Prioritized Generative Replay", Algorithm 1; without relevance it is Lu et al. (2023), SynthER,
Algorithm 2; without a generator it is REDQ (Chen et al., 2021) or SAC.

The agent never knows which rows are synthetic (`is_synthetic` feeds metrics only), the generator never sees its own
output, and relevance is trained on real rows alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from genreplay.common.seeding import derive_seed
from genreplay.config.schema import LoopConfig
from genreplay.diagnostics.diagnose import MIN_ROWS, diagnose
from genreplay.replay.synthesis import Source, Synthesis, Synthetic
from genreplay.training.assemble import Parts
from genreplay.training.monitor import Monitor
from genreplay.training.schedule import Counters, Every, Ratio


class Schedules:
    """When each part is due, as counters that a checkpoint keeps."""

    def __init__(self, config: LoopConfig, critic_updates_per_block: int):
        self.blocks = Ratio(config.utd_ratio / critic_updates_per_block)
        self.relevance_updates = Ratio(config.relevance_updates_per_env_step)
        self.refit = Every(config.refit_every_env_steps, first=config.first_refit_env_step)
        self.resample = Every(config.resample_every_env_steps or config.refit_every_env_steps)
        self.evaluate = Every(config.evaluate_every_env_steps)
        self.checkpoint = Every(config.checkpoint_every_env_steps)
        self.log = Every(config.log_every_env_steps)

    def state_dict(self) -> dict[str, Any]:
        """State of every schedule, by name."""
        return {name: schedule.state_dict() for name, schedule in vars(self).items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put every schedule where it was."""
        for name, schedule in vars(self).items():
            schedule.load_state_dict(state[name])


class Loop:
    """Alternates collection, generator fitting and high update-to-data-ratio policy updates.

    Args:
        config: the cadences.
        parts: what it drives.
        report: displays and logs progress.
        seed: of the prompts and of the generator's fits and samples.
        save: writes a checkpoint of this loop.
    """

    def __init__(
        self,
        config: LoopConfig,
        parts: Parts,
        report: Monitor,
        seed: int,
        save: Callable[[Loop], None],
    ):
        self.config, self.parts, self.report, self.seed = config, parts, report, seed
        self.save = save
        self.counters = Counters()
        self.schedules = Schedules(config, parts.agent.config.critic_updates_per_actor_update)

    def run(self, stop: Callable[[], bool]) -> bool:
        """Train until `num_env_steps`, or until `stop()` is true after a whole step; save either way.

        Returns True where training is complete, False where it was stopped.
        """
        due, counters = self.schedules, self.counters
        complete = counters.env_step >= self.config.num_env_steps
        stopped = False
        while not complete and not stopped:
            num_new = self.collect()
            complete = counters.env_step >= self.config.num_env_steps
            if not complete:
                self.parts.collection.begin_next()
            if self.parts.synthesis is not None and not complete:
                self.synthesise(self.parts.synthesis)
            if counters.env_step > self.config.warmup_env_steps:
                self.update(num_new)
            stopped = stop()
            if due.log(counters.env_step) or complete:
                self.report.log(counters)
            if due.evaluate(counters.env_step) or complete:
                self.evaluate()
            if due.checkpoint(counters.env_step) or complete or stopped:
                self.save(self)
        return complete

    def collect(self) -> int:
        """One decision in every collecting simulator; returns the number of new transitions."""
        transitions = self.parts.collection.next()
        self.parts.replay.extend_real(transitions)
        self.counters.env_step += len(transitions)
        self.parts.agent.set_progress(self.counters.env_step)
        finished = self.parts.collection.finished_episodes()
        self.counters.episodes += len(finished)
        self.report.collected(self.counters, finished)
        return len(transitions)

    def synthesise(self, synthesis: Synthesis) -> None:
        """Fit the generator, or draw from it again, where that is due."""
        resample = self.schedules.resample(self.counters.env_step) and self.config.resample_every_env_steps is not None
        if self.schedules.refit(self.counters.env_step):
            self.refit(synthesis)
        elif resample and synthesis.generator.fitted:
            self._draw(synthesis, self._source(synthesis), derive_seed(self.seed, "redraw", self.counters.env_step))

    def refit(self, synthesis: Synthesis) -> None:
        """Fit the generator to the real transitions and replace the synthetic buffer by its samples."""
        source, seed = self._source(synthesis), derive_seed(self.seed, "refit", self.counters.env_step)
        with self.report.fitting() as on_progress:
            metrics = synthesis.fit(source, seed, on_progress)
        self.counters.generator_step += int(metrics["num_steps"])
        synthetic = self._draw(synthesis, source, seed)
        with self.report.diagnosing():
            diagnosis = None
            if min(len(source.real), len(synthetic.rows)) >= MIN_ROWS:
                compared = source.real, synthetic.rows, seed, source.most_relevant
                diagnosis = diagnose(synthesis.codec, *compared, self.parts.oracle)
        metrics = metrics | synthetic.metrics
        self.report.refitted(metrics, diagnosis, synthetic.transitions, source.real, self.counters)

    def _source(self, synthesis: Synthesis) -> Source:
        """All real transitions, with their relevance where something computes it."""
        real = self.parts.replay.real_transitions()
        return synthesis.source(real, None if self.parts.relevance is None else self.parts.relevance.score(real))

    def _draw(self, synthesis: Synthesis, source: Source, seed: int) -> Synthetic:
        """Replace the synthetic buffer."""
        num_rows = self.config.num_synthetic_rows
        with self.report.sampling(num_rows):
            synthetic = synthesis.draw(source, num_rows, seed)
        self.parts.replay.replace_synthetic(synthetic.transitions, synthetic.metrics["kept"])
        return synthetic

    def update(self, num_new: int) -> None:
        """Relevance on real rows, then the agent on blocks of mixed rows, at their ratios to the new env steps."""
        batch_size = self.parts.replay.config.batch_size
        if self.parts.relevance is not None:
            for _ in range(self.schedules.relevance_updates(num_new)):
                batch = self.parts.replay.sample_real(batch_size)
                self.report.updated("relevance", self.parts.relevance.update(batch))
        block_size = self.parts.agent.config.critic_updates_per_actor_update
        for _ in range(self.schedules.blocks(num_new)):
            block = self.parts.replay.sample_blocks(block_size, batch_size)
            self.report.updated("agent", self.parts.agent.training_step(block))
            self.counters.gradient_step += block_size

    def evaluate(self) -> None:
        """The deterministic policy on the evaluation episodes."""
        with self.report.evaluating(len(self.parts.evaluator.seeds)) as on_episode:
            evaluation = self.parts.evaluator.evaluate_policy(self.parts.agent.policy(deterministic=True), on_episode)
        self.report.evaluated(evaluation, self.counters)
