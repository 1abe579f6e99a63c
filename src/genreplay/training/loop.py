"""The algorithm: collect, fit the generator to what was seen, update the agent on a mix of both.

Wang et al. (2025), "Prioritized Generative Replay", Algorithm 1; without relevance it is Lu et al. (2023), SynthER,
Algorithm 2; without a generator it is REDQ (Chen et al., 2021) or SAC.

The agent never knows which rows are synthetic (`is_synthetic` feeds metrics only), the generator never sees its own
output, and relevance is trained on real rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tensordict import TensorDict

from genreplay.common.errors import GeneratorDiverged, UserError
from genreplay.common.seeding import derive_seed
from genreplay.config.schema import LoopConfig
from genreplay.diagnostics.diagnose import MIN_ROWS, diagnose
from genreplay.envs.faults import EnvironmentFault, Faults
from genreplay.replay.collection import Collection
from genreplay.replay.synthesis import Source, Synthesis, Synthetic
from genreplay.runs import checkpoint
from genreplay.training.assemble import Parts
from genreplay.training.monitor import Monitor
from genreplay.training.schedule import Counters, Due, Every, Ratio
from genreplay.training.stop import Stop, Stopped


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
        stop: whether a signal asked the run to end.
    """

    def __init__(
        self,
        config: LoopConfig,
        parts: Parts,
        report: Monitor,
        seed: int,
        save: Callable[[Loop], None],
        stop: Stop,
    ):
        self.config, self.parts, self.report, self.seed = config, parts, report, seed
        self.save, self.stop = save, stop
        self.counters = Counters()
        self.schedules = Schedules(config, parts.agent.config.critic_updates_per_actor_update)
        self.due = Due()

    @property
    def is_complete(self) -> bool:
        """Whether all transitions are collected."""
        return self.counters.env_step >= self.config.num_env_steps

    @property
    def faults(self) -> Faults:
        """Those of the environment so far."""
        return self.parts.collection.env.faults

    def run(self) -> bool:
        """Train until `num_env_steps`, or until a signal asks to end; save either way.

        A signal ends fits, samples and evaluations at once; they are left to do, as is the rest of the step.

        Returns True where training is complete, False where it was stopped.

        Raises:
            EnvironmentFault: one more than `max_faults`; the run is saved.
            UserError: something that learns has diverged; what was saved before stays.
        """
        self.parts.agent.set_progress(self.counters.env_step)
        try:
            self.finish_step()
            while not self.is_complete:
                self.stop.check()
                self.plan_step(self.collect())
                self.finish_step()
        except Stopped:
            self.save(self)
            return False
        except EnvironmentFault:
            if self.counters.env_step:
                self.save(self)
            raise
        return True

    def require_finite(self) -> None:
        """UserError where a loss since the last log is no number; what is saved then stays."""
        if loss := self.report.diverged():
            raise UserError(
                f"{loss} is no longer a number at env step {self.counters.env_step}; observations and rewards reach "
                f"{self.parts.replay.largest():.3g}: scale them to about 1, or lower the learning rates or "
                "loop.utd_ratio; the checkpoint before it stays"
            )

    def collect(self) -> int:
        """One decision in every collecting simulator; returns the number of new transitions."""
        collection = self.parts.collection
        transitions = collection.next() if collection.has_begun else self._begin(collection)
        self.parts.replay.extend_real(transitions)
        self.counters.env_step += len(transitions)
        self.parts.agent.set_progress(self.counters.env_step)
        finished = collection.finished_episodes()
        self.counters.episodes += len(finished)
        self.report.collected(self.counters, finished)
        if not self.is_complete:
            collection.begin_next()
        return len(transitions)

    def _begin(self, collection: Collection) -> TensorDict:
        """The first decision, before which the episodes of a checkpoint are played again: that may take long."""
        before = collection.state_dict()
        try:
            with self._repeatable():
                return collection.next()
        except Stopped:
            collection.rewind(before)
            raise

    def plan_step(self, num_new: int) -> None:
        """Note what is due after `num_new` transitions."""
        due, schedules, env_step = self.due, self.schedules, self.counters.env_step
        if self.parts.synthesis is not None and not self.is_complete:
            resample = schedules.resample(env_step) and self.config.resample_every_env_steps is not None
            due.refit = schedules.refit(env_step)
            due.resample = resample and not due.refit
        if env_step > self.config.warmup_env_steps:
            due.relevance_updates = 0 if self.parts.relevance is None else schedules.relevance_updates(num_new)
            due.blocks = schedules.blocks(num_new)
        due.log = schedules.log(env_step) or self.is_complete
        due.evaluate = schedules.evaluate(env_step) or self.is_complete
        due.checkpoint = schedules.checkpoint(env_step) or self.is_complete

    def finish_step(self) -> None:
        """Do what is due; `Stopped` leaves the rest."""
        due, synthesis = self.due, self.parts.synthesis
        if synthesis is not None and due.refit:
            self.refit(synthesis)
        elif synthesis is not None and due.resample and synthesis.generator.fitted:
            self.resample(synthesis)
        due.refit = due.resample = False
        self.update()
        if due.log:
            self.require_finite()
            self.report.log(self.counters, self.faults.count)
            due.log = False
        if due.evaluate:
            self.evaluate()
            due.evaluate = False
        if due.checkpoint:
            due.checkpoint = False
            self.save(self)

    def refit(self, synthesis: Synthesis) -> None:
        """Fit the generator to the real transitions and replace the synthetic buffer by its samples."""
        seed = derive_seed(self.seed, "refit", self.counters.env_step)
        before = {name: tensor.clone() for name, tensor in synthesis.generator.state_dict().items()}
        try:
            with self._repeatable():
                source = self._source(synthesis)
                with self.report.fitting() as on_progress:
                    metrics = synthesis.fit(source, seed, on_progress)
                synthetic = self._sample(synthesis, source, seed)
                with self.report.diagnosing():
                    diagnosis = None
                    if min(len(source.real), len(synthetic.rows)) >= MIN_ROWS:
                        compared = source.real, synthetic.rows, seed, source.most_relevant
                        diagnosis = diagnose(synthesis.codec, *compared, self.parts.oracle)
        except (Stopped, GeneratorDiverged) as error:
            synthesis.generator.load_state_dict(before)
            if isinstance(error, Stopped):
                raise
            return self._fall_back(error)
        self._store(synthetic)
        self.counters.generator_step += int(metrics["num_steps"])
        metrics = metrics | synthetic.metrics
        self.report.refitted(metrics, diagnosis, synthetic.transitions, source.real, self.counters)

    def resample(self, synthesis: Synthesis) -> None:
        """Replace the synthetic buffer by new samples of the same generator."""
        try:
            with self._repeatable():
                seed = derive_seed(self.seed, "redraw", self.counters.env_step)
                synthetic = self._sample(synthesis, self._source(synthesis), seed)
        except GeneratorDiverged as error:
            return self._fall_back(error)
        self._store(synthetic)

    def _fall_back(self, error: GeneratorDiverged) -> None:
        """Go on with the synthetic transitions of before."""
        self.report.fell_back(str(error), self.parts.replay.num_synthetic, self.counters)

    def _source(self, synthesis: Synthesis) -> Source:
        """All real transitions, with their relevance where something computes it."""
        real = self.parts.replay.real_transitions()
        return synthesis.source(real, None if self.parts.relevance is None else self.parts.relevance.score(real))

    def _sample(self, synthesis: Synthesis, source: Source, seed: int) -> Synthetic:
        num_rows = self.config.num_synthetic_rows
        with self.report.sampling(num_rows):
            return synthesis.draw(source, num_rows, seed)

    def _store(self, synthetic: Synthetic) -> None:
        self.parts.replay.replace_synthetic(synthetic.transitions, synthetic.metrics["kept"])

    def update(self) -> None:
        """Relevance on real rows, then the agent on blocks of mixed rows, as often as is due."""
        batch_size, due = self.parts.replay.config.batch_size, self.due
        while self.parts.relevance is not None and due.relevance_updates:
            self.stop.check()
            batch = self.parts.replay.sample_real(batch_size)
            self.report.updated("relevance", self.parts.relevance.update(batch))
            due.relevance_updates -= 1
        block_size = self.parts.agent.config.critic_updates_per_actor_update
        while due.blocks:
            self.stop.check()
            block = self.parts.replay.sample_blocks(block_size, batch_size)
            self.report.updated("agent", self.parts.agent.training_step(block))
            self.counters.gradient_step += block_size
            due.blocks -= 1

    def evaluate(self) -> None:
        """The deterministic policy on the evaluation episodes; left out where a fault in one of them may be skipped."""
        evaluator, policy = self.parts.evaluator, self.parts.agent.policy(deterministic=True)
        try:
            with self._repeatable(), self.report.evaluating(len(evaluator.seeds)) as on_episode:
                evaluation = evaluator.evaluate_policy(policy, on_episode)
        except EnvironmentFault as fault:
            self.faults.add(fault)
        else:
            self.report.evaluated(evaluation, self.counters)

    @contextmanager
    def _repeatable(self) -> Iterator[None]:
        """Work that a signal ends at once; the random streams are then where they were before it."""
        rng = checkpoint.rng_state()
        try:
            with self.stop.repeatable():
                yield
        except BaseException:
            checkpoint.set_rng_state(rng)
            raise
