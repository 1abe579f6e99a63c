"""Real and synthetic transitions, and the mixed blocks that the agent learns from.

Shapes: N rows, K batches in a block, B rows in a batch.

Two TorchRL buffers that share nothing: a ring of real rows, and the generator's last samples, replaced as a
whole. Rows are copied on the way in and on the way out, so nothing a caller holds is ever written to. Draws
are uniform, with replacement, from one generator whose state is checkpointed: a resumed run sees the same
blocks.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from tensordict import TensorDict, TensorDictBase
from torchrl.data import LazyMemmapStorage, LazyTensorStorage, ReplayBuffer

from genreplay.common.scratch import Scratch
from genreplay.config.schema import ReplayConfig
from genreplay.transitions.keys import IS_SYNTHETIC, NEXT_OBSERVATION, OBSERVATION, REWARD, STORED_KEYS, Key


class MixedReplay:
    """The real ring, the synthetic buffer, and exact mixes of both.

    With `storage: memory` rows lie on `device`, and are drawn there. With `memmap`, for buffers larger than that, they
    lie in files that vanish with this object, and are drawn on the host.

    Args:
        config: its options.
        device: where sampled rows go.
        seed: of the draws. They differ between CPU and GPU.
        keys: the keys of a transition to keep.
        directory: where `memmap` puts its files; the system's temporary folder where it is None.
    """

    def __init__(
        self,
        config: ReplayConfig,
        device: torch.device | str = "cpu",
        seed: int = 0,
        keys: Sequence[Key] = STORED_KEYS,
        directory: Path | None = None,
    ):
        self.config, self.capacity = config, config.capacity
        self.device, self._keys, self._directory = torch.device(device), tuple(keys), directory
        self._held_on = self.device if config.storage == "memory" else torch.device("cpu")
        self._files: dict[str, Scratch] = {}
        self._real = self._new_buffer("real", config.capacity)
        self._synthetic: ReplayBuffer | None = None
        self._kept = 1.0
        self._generator = torch.Generator(self._held_on).manual_seed(seed)

    @property
    def num_real(self) -> int:
        """Real rows stored now."""
        return len(self._real)

    @property
    def num_synthetic(self) -> int:
        """Synthetic rows stored now."""
        return 0 if self._synthetic is None else len(self._synthetic)

    def extend_real(self, transitions: TensorDictBase) -> None:
        """Append real transitions `[N]`; once `capacity` is reached, each overwrites the oldest.

        Raises:
            ValueError: some are synthetic.
        """
        # More rows than the ring holds would write some slots twice in one scatter, in no defined order.
        rows = self._stored(transitions)[-self.capacity :]
        if rows[IS_SYNTHETIC].any():
            raise ValueError("extend_real: got synthetic rows; the real buffer holds transitions of the environment")
        if len(rows):
            self._real.extend(rows)

    def replace_synthetic(self, transitions: TensorDictBase, kept: float = 1.0) -> None:
        """Forget all synthetic rows and keep these `[N]`.

        Args:
            transitions: the rows.
            kept: their share of all rows that were drawn. Real rows stand in for the others, so that few rows that
                passed a filter are not oversampled: a batch has `kept` times its synthetic share.
        """
        rows = self._stored(transitions)
        if not rows[IS_SYNTHETIC].all():
            raise ValueError("replace_synthetic: got real rows; decode the generator's rows with the codec")
        self._kept = kept
        self._synthetic = self._new_buffer("synthetic", len(rows)) if len(rows) else None
        if self._synthetic is not None:
            self._synthetic.extend(rows)

    def sample_blocks(self, num_updates: int, batch_size: int) -> TensorDict:
        """A block `[K, B]` of `num_updates` batches, each with the exact share of synthetic rows at its end.

        Rows are drawn independently: their order within a batch does not affect a mean over B.
        """
        share = 0.0 if self._synthetic is None else self._kept * (self.config.synthetic_fraction or 0.0)
        num_synthetic = round(share * batch_size)
        parts = []
        if num_synthetic < batch_size:
            parts.append(self._draw(self._real, num_updates, batch_size - num_synthetic))
        if num_synthetic and self._synthetic is not None:
            parts.append(self._draw(self._synthetic, num_updates, num_synthetic))
        block = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        return block.to(self.device)

    def sample_real(self, batch_size: int) -> TensorDict:
        """Real rows `[B]`."""
        return self._draw(self._real, 1, batch_size)[0].to(self.device)

    def real_transitions(self) -> TensorDict:
        """A copy of every stored real row `[N]`, oldest first."""
        if not self.num_real:
            raise ValueError("real_transitions: no real rows are stored yet")
        return _oldest_first(self._real[:], self._cursor).to(self.device)

    def largest(self) -> float:
        """Largest absolute value among the observations and rewards of the real rows; 0 without rows."""
        rows = self._real[:] if self.num_real else None
        keys = (OBSERVATION, NEXT_OBSERVATION, REWARD)
        return 0.0 if rows is None else max(float(rows[key].abs().max()) for key in keys)

    def synthetic_transitions(self) -> TensorDict:
        """A copy of every stored synthetic row `[N]`."""
        if self._synthetic is None:
            raise ValueError("synthetic_transitions: no synthetic rows are stored yet")
        return self._synthetic[:].clone().to(self.device)

    # Checkpoint --------------------------------------------------------------------------------------------

    def state(self) -> TensorDict:
        """The state that resumes the buffers; write it (`memmap(path, copy_existing=True)`) before the next row comes.

        `real` and `synthetic` (each absent while empty) are views of the rows as they lie in memory; `cursor`
        is where the next real row goes; `kept` as of `replace_synthetic`; `generator` is the state of the draws.
        """
        state = TensorDict(
            {
                "cursor": torch.tensor(self._cursor),
                "kept": torch.tensor(self._kept, dtype=torch.float64),
                "generator": self._generator.get_state(),
            },
            batch_size=[],
        )
        if self.num_real:
            state["real"] = self._real[:]
        if self._synthetic is not None:
            state["synthetic"] = self._synthetic[:]
        return state

    def load_state(self, state: TensorDictBase) -> None:
        """Take over a checkpoint. With another `capacity` than it was written with, keep the newest rows.

        Where the rows lay on another kind of device, whose draws this one cannot continue, the draws begin anew.
        """
        self._real = self._new_buffer("real", self.capacity)
        rows, cursor = state.get("real", None), int(state["cursor"])
        if rows is not None and 0 < cursor < len(rows) != self.capacity:
            rows, cursor = _oldest_first(rows, cursor), 0
        if rows is not None:
            self.extend_real(rows)
            if len(rows) == self.capacity:
                self._real.writer.load_state_dict({"_cursor": cursor, "_write_count": len(rows)})
        self._synthetic = None
        if state.get("synthetic", None) is not None:
            self.replace_synthetic(state["synthetic"], float(state["kept"]))
        drawn = state["generator"].cpu().clone()
        if drawn.shape == self._generator.get_state().shape:
            self._generator.set_state(drawn)

    @property
    def _cursor(self) -> int:
        return int(self._real.writer.state_dict()["_cursor"])

    def _draw(self, buffer: ReplayBuffer, num_updates: int, batch_size: int) -> TensorDict:
        if not len(buffer):
            raise ValueError("sample: no real rows are stored yet; collect before learning")
        # TorchRL's `sample` indexes each tensor with `[index]`, which here costs several times `index_select`.
        size, device = num_updates * batch_size, self._held_on
        index = torch.randint(len(buffer), (size,), generator=self._generator, device=device)
        shape = (num_updates, batch_size)
        return buffer[:].apply(lambda rows: rows.index_select(0, index).unflatten(0, shape), batch_size=shape)

    def _stored(self, transitions: TensorDictBase) -> TensorDict:
        """The keys to keep, on the device that holds the rows."""
        return transitions.select(*self._keys).detach().to(self._held_on)

    def _new_buffer(self, name: str, capacity: int) -> ReplayBuffer:
        logging.getLogger("torchrl").setLevel(logging.WARNING)  # it announces every new buffer
        if self.config.storage == "memory":
            return ReplayBuffer(storage=LazyTensorStorage(capacity, device=self._held_on))
        # A folder of its own for each buffer: the files of the one it replaces may still be mapped.
        self._files[name] = Scratch(name, self._directory)
        return ReplayBuffer(storage=LazyMemmapStorage(capacity, scratch_dir=self._files[name].folder))


def _oldest_first(rows: TensorDict, cursor: int) -> TensorDict:
    """A copy of a ring's rows `[N]` in the order in which they came; `cursor` is where the next would go."""
    start = cursor % len(rows)
    return torch.cat([rows[start:], rows[:start]]) if start else rows.clone()
