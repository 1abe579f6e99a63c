"""Progress display and metric logging of a training run.

Nothing here feeds back into training. Metrics that come as tensors stay on their device until a log is due, so that
reporting costs no synchronisation inside the update block.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from tensordict import TensorDictBase
from torch import Tensor

from genreplay.common.progress import Bars
from genreplay.common.text import with_unit
from genreplay.diagnostics.diagnose import Diagnosis
from genreplay.envs.world import World
from genreplay.evaluation.evaluator import Evaluation
from genreplay.reporting import figures
from genreplay.runs.tracker import Tracker
from genreplay.training.schedule import Counters
from genreplay.transitions.keys import DURATION, REWARD


class Monitor:
    """Screen and tracker of one run.

    Args:
        bars: the screen.
        tracker: the experiment store.
        world: names the primary metric.
    """

    baseline: Evaluation | None = None
    """The incumbent, on the evaluation episodes; None where the world has no baseline."""

    def __init__(self, bars: Bars, tracker: Tracker, world: World):
        self.bars, self.tracker, self.world = bars, tracker, world
        self._sums: dict[str, Tensor | float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)
        self._clock = self._begun = time.perf_counter()
        self._seconds: dict[str, float] = defaultdict(float)
        self._gradient_step = 0
        self._last_primary: float | None = None
        self._curve: list[dict[str, float]] = []

    @property
    def baseline_name(self) -> str:
        """The incumbent's name, with spaces."""
        return next(iter(self.world.evaluation.baselines), "baseline").replace("_", " ")

    # Resuming --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The learning curve, what was gathered since the last log, and what the store does not have yet."""
        return {
            "curve": self._curve,
            "last_primary": self._last_primary,
            "gradient_step": self._gradient_step,
            "sums": {name: float(value) for name, value in self._sums.items()},
            "counts": dict(self._counts),
            "times": {
                "elapsed": self._elapsed(),
                "since_log": time.perf_counter() - self._clock,
                "seconds": dict(self._seconds),
            },
            "tracker": self.tracker.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where an earlier part of the run ended. A checkpoint of an older version holds the curve alone."""
        self._curve, self._last_primary = list(state["curve"]), state["last_primary"]
        self._gradient_step = state["gradient_step"]
        times = state.get("times", {"elapsed": state.get("elapsed", 0.0), "since_log": 0.0, "seconds": {}})
        self._begun -= times["elapsed"]
        self._clock = time.perf_counter() - times["since_log"]
        for gathered, kept in (
            (self._sums, state.get("sums", {})),
            (self._counts, state.get("counts", {})),
            (self._seconds, times["seconds"]),
        ):
            gathered.clear()
            gathered.update(kept)
        self.tracker.load_state_dict(state.get("tracker", {"unsent": []}))

    def _elapsed(self) -> float:
        """Seconds of all parts of the run so far."""
        return time.perf_counter() - self._begun

    # Collecting and updating -----------------------------------------------------------------------------------

    def collected(self, counters: Counters, finished: list[dict[str, float]]) -> None:
        """Transitions arrived; `finished` are the metrics of the episodes that ended with them."""
        for episode in finished:
            self._add({f"training/{name}": value for name, value in episode.items() if name != "seed"})
        self.bars.advance(counters.env_step)

    def updated(self, part: str, metrics: Mapping[str, Tensor | float]) -> None:
        """One relevance update or one block of agent updates."""
        self._add({f"{part}/{name}": value for name, value in metrics.items()})

    def diverged(self) -> str:
        """A loss since the last log that is not finite, such as `agent: the critic loss`; empty where all are."""
        for name, total in self._sums.items():
            part, _, loss = name.partition("/")
            if loss.endswith("_loss") and not math.isfinite(float(total)):
                return f"{part}: the {loss.replace('_', ' ')}"
        return ""

    def log(self, counters: Counters, num_faults: int = 0) -> None:
        """Write the means since the last call, and the number of skipped faults, to the tracker and to the screen."""
        now = time.perf_counter()
        means = {name: float(self._sums[name]) / self._counts[name] for name in self._sums}
        # Undefined means (the loss on synthetic rows, before there are any) are left out.
        means = {name: value for name, value in means.items() if not math.isnan(value)}
        busy = sum(self._seconds.values())
        training_seconds = max(now - self._clock - busy, 1e-9)
        updates = counters.gradient_step - self._gradient_step
        means["speed/gradient_steps_per_second"] = updates / training_seconds
        means |= {f"speed/{name}_seconds": seconds for name, seconds in self._seconds.items()}
        means |= {
            "counters/gradient_step": counters.gradient_step,
            "counters/generator_step": counters.generator_step,
            "counters/episodes": counters.episodes,
            "counters/env_step": counters.env_step,
        }
        means |= {"counters/faults": num_faults} if num_faults else {}
        self.tracker.metrics(means, counters.env_step)
        figures_text = self._figures(means)
        self.bars.advance(counters.env_step, figures_text)
        if not self.bars.console.is_terminal:
            self.bars.line(
                f"env step {self.bars.position(counters.env_step)}" + f": {figures_text}" * bool(figures_text)
            )
        for gathered in (self._sums, self._counts, self._seconds):
            gathered.clear()
        self._gradient_step, self._clock = counters.gradient_step, now

    def _add(self, metrics: Mapping[str, Tensor | float]) -> None:
        for name, value in metrics.items():
            self._sums[name] = self._sums[name] + value
            self._counts[name] += 1

    def _figures(self, means: Mapping[str, float]) -> str:
        parts = []
        if self._last_primary is not None:
            parts.append(self.summary())
        for name, text in (
            ("training/return", "training return {:.1f}"),
            ("agent/critic_loss", "critic loss {:.3g}"),
            ("speed/gradient_steps_per_second", "{:.0f} updates/s"),
        ):
            if name in means and (means[name] or name != "speed/gradient_steps_per_second"):
                parts.append(text.format(means[name]))
        return ", ".join(parts)

    def _beside(self) -> str:
        if self.baseline is None:
            return ""
        return f" ({self.baseline_name} {self.baseline.mean(self.world.primary_metric):.1f})"

    # Refitting -------------------------------------------------------------------------------------------------

    @contextmanager
    def fitting(self) -> Iterator[Callable[[int, int, float], None]]:
        """Time and show a generator fit; yields `on_progress(step, total, loss)`."""
        with self._timed("generator_fit"), self.bars.passing("fit") as update:
            yield lambda step, total, loss: update(step, total, f"loss {loss:.3g}")

    @contextmanager
    def sampling(self, num_rows: int) -> Iterator[None]:
        """Time and show the drawing of synthetic rows."""
        with self._timed("sampling"), self.bars.passing("sample", num_rows):
            yield

    @contextmanager
    def diagnosing(self) -> Iterator[None]:
        """Time and show the comparison of synthetic and real rows."""
        with self._timed("diagnostics"), self.bars.passing("diagnose"):
            yield

    def refitted(
        self,
        metrics: Mapping[str, float],
        diagnosis: Diagnosis | None,
        synthetic: TensorDictBase,
        real: TensorDictBase,
        counters: Counters,
    ) -> None:
        """A generator fit ended and its samples are in the synthetic buffer; `diagnosis` measures them."""
        logged = {f"generator/{name}": float(value) for name, value in metrics.items()}
        for source, rows in (("synthetic", synthetic), ("real", real)):
            if not len(rows):
                continue
            for key, name in ((REWARD, "reward"), (DURATION, "duration")):
                values = rows.get(key).float()
                logged[f"{source}/{name}_mean"] = values.mean().item()
                logged[f"{source}/{name}_std"] = values.std().item() if values.numel() > 1 else 0.0
        if diagnosis is not None:
            logged |= {f"diagnostics/{name}": value for name, value in diagnosis.metrics.items()}
            self._keep(diagnosis, counters)
        self.tracker.metrics(logged, counters.env_step)
        if not len(synthetic):
            self.bars.line(
                f"env step {counters.env_step}: generator fitted to {len(real)} transitions; it has confidence in none "
                "of its rows, so the agent learns from real ones alone until the next fit"
            )
            return
        self.bars.line(
            f"env step {counters.env_step}: generator fitted to {len(real)} transitions, "
            f"{len(synthetic)} synthetic ones drawn; reward {logged['synthetic/reward_mean']:.3g} "
            f"± {logged['synthetic/reward_std']:.3g} (real {logged['real/reward_mean']:.3g} "
            f"± {logged['real/reward_std']:.3g})"
            + (f", {logged[valid]:.1%} exactly possible" if (valid := "diagnostics/valid") in logged else "")
        )

    def fell_back(self, why: str, num_synthetic: int, counters: Counters) -> None:
        """A generator diverged, so the synthetic transitions of before stay."""
        rest = f"the {num_synthetic} synthetic transitions of before stay"
        self.tracker.metrics({"generator/diverged": 1.0}, counters.env_step)
        self.bars.line(
            f"env step {counters.env_step}: {why}; "
            + (rest if num_synthetic else "the agent learns from real transitions alone until the next fit")
        )

    def _keep(self, diagnosis: Diagnosis, counters: Counters) -> None:
        """A figure and a table of every refit, among the run's artifacts."""
        name = f"diagnostics/env_step_{counters.env_step:07d}"
        with self.diagnosing():
            title = f"Synthetic transitions at env step {counters.env_step} and {len(diagnosis.real)} real ones"
            self.tracker.figure(figures.synthetic_and_real(diagnosis, title), f"{name}.png")
            self.tracker.text(diagnosis.columns.to_csv(), f"{name}.csv")

    # Evaluating ------------------------------------------------------------------------------------------------

    @contextmanager
    def evaluating(self, num_episodes: int, what: str = "evaluate") -> Iterator[Callable[[], None]]:
        """Time and show an evaluation; yields `on_episode()`."""
        done = 0

        def on_episode() -> None:
            nonlocal done
            done += 1
            update(done, num_episodes, "")

        with self._timed("evaluation"), self.bars.passing(what, num_episodes) as update:
            yield on_episode

    def evaluated(self, evaluation: Evaluation, counters: Counters) -> None:
        """The policy's figures on the evaluation episodes: to the tracker, the screen and the learning curve."""
        primary_metric = self.world.primary_metric
        place = {"counters/gradient_step": counters.gradient_step, "speed/elapsed_seconds": self._elapsed()}
        self.tracker.metrics({f"evaluation/{k}": v for k, v in evaluation.means().items()} | place, counters.env_step)
        if self.baseline is not None:
            self.tracker.metrics({f"baseline/{k}": v for k, v in self.baseline.means().items()}, counters.env_step)
        values = [episode[primary_metric] for episode in evaluation.episodes]
        self._last_primary = evaluation.mean(primary_metric)
        self._curve.append(
            {"env_step": counters.env_step, "mean": self._last_primary, "low": min(values), "high": max(values)}
        )
        self.tracker.figure(self._figure(), "learning_curve.png")
        self.bars.line(
            f"env step {counters.env_step}: {self.summary()}, episodes {', '.join(f'{v:.1f}' for v in values)}"
        )

    def summary(self) -> str:
        """The primary metric of the last evaluation, compared with the baseline's."""
        if self._last_primary is None:
            return "not evaluated yet"
        unit = f" {self.world.primary_unit}" if self.world.primary_unit else ""
        return f"{self.world.primary_metric} {self._last_primary:.1f}{unit}{self._beside()}"

    def _figure(self) -> Any:
        columns = {key: [point[key] for point in self._curve] for key in ("env_step", "mean", "low", "high")}
        primary_metric = self.world.primary_metric
        return figures.learning_curve(
            columns["env_step"],
            columns["mean"],
            columns["low"],
            columns["high"],
            with_unit(primary_metric, self.world.primary_unit),
            None if self.baseline is None else self.baseline.mean(primary_metric),
            self.baseline_name,
        )

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - start
