"""All ranks fit and sample one generator; rank 0 owns everything else and sends the commands.

Shapes: N training rows, n sampled rows, R ranks, D columns.

    fabric = make_fabric("cpu", devices=2)
    fabric.launch()
    with Team(fabric, generator) as team:
        if fabric.global_rank > 0:
            team.follow()                       # serves until rank 0 leaves its `with`
        else:
            team.fit(rows, condition, seed)     # on all ranks, under DDP
            team.sample(50_000, prompts, seed)  # shared out, gathered in order

Between commands the other ranks wait outside any collective, so rank 0 may train for hours in between.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

import torch
import torch.distributed as dist
from lightning.fabric import Fabric
from lightning.fabric.strategies import DDPStrategy
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from genreplay.common.errors import GeneratorDiverged, UserError
from genreplay.generators.base import Generator, Sampled
from genreplay.generators.distributed.channel import Follower, Leader, Message, RankError, failure_message, open_channel
from genreplay.generators.fitting import OnProgress, fit

BLAME_SECONDS = 2.0
"""How long an error in a collective waits for the news that another rank was the cause."""


def make_fabric(
    accelerator: str = "auto", devices: int = 1, mixed_precision: bool = False, num_nodes: int = 1
) -> Fabric:
    """Fabric for one process, or for DDP on several (gloo between CPU processes, NCCL between GPUs).

    Raises:
        UserError: the machine does not have the devices, or cannot compute in `bf16-mixed`.
    """
    on_gpu = accelerator != "cpu" and torch.cuda.is_available()
    try:
        return Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=num_nodes,
            precision="bf16-mixed" if mixed_precision and on_gpu else "32-true",
            # Buffers hold the normalisers, which every rank computes alike: nothing to send at each step.
            strategy=DDPStrategy(broadcast_buffers=False) if devices * num_nodes > 1 else "auto",
        )
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        raise UserError(f"fabric: {str(error).splitlines()[0]}") from error


class Team:
    """The generator on all ranks. With one device it merely passes calls on.

    Args:
        fabric: launched.
        generator: built alike on every rank.
    """

    def __init__(self, fabric: Fabric, generator: Generator):
        self.fabric, self.generator = fabric, generator
        self._channel: Leader | Follower | None = None
        self._abandoned = False
        """Whether rank 0 left a command in the middle: the others wait for it in a collective."""
        self._is_shared = True
        """Whether the other ranks have rank 0's generator: not where it was loaded from a checkpoint, or put back."""
        generator.register_load_state_dict_post_hook(self._loaded)

    def _loaded(self, *_: object) -> None:
        self._is_shared = False

    def __enter__(self) -> Team:
        """Connect the ranks; every rank enters together."""
        self.generator.to(self.fabric.device)
        if self.fabric.world_size > 1:
            self._channel = open_channel(self.fabric)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """On rank 0: let the other ranks go, as failed if this rank fails."""
        if isinstance(self._channel, Leader):
            # Rank 0 reports errors that the user can fix; the others just end.
            if error is not None and not isinstance(error, UserError):
                self._channel.close(f"failed: {type(error).__name__}: {error}")
            else:
                self._channel.close("was stopped" if self._abandoned else None)

    def fit(
        self, rows: Tensor, condition: Tensor | None, seed: int, on_progress: OnProgress | None = None
    ) -> dict[str, float]:
        """On rank 0: fit the generator to rows `[N, D]` and conditions `[N, 1]` on every rank; `fitting.fit`'s figures.

        Raises:
            GeneratorDiverged: as of `fitting.fit`.
            RankError: another rank failed.
        """
        with self._order("fit", rows.shape[0], condition, seed):
            shared = self._share(rows), self._share_optional(condition)
            return fit(self.fabric, self.generator, *shared, seed, on_progress)

    def sample(self, num_rows: int, condition: Tensor | None, seed: int, given: Tensor | None = None) -> Sampled:
        """On rank 0: n rows, on this rank's device, each rank making a part of them.

        The rows are those that one rank alone would draw (to rounding). Arguments as of `Generator.sample`.

        Raises:
            RankError: another rank failed.
        """
        with self._order("sample", num_rows, condition, seed, given):
            condition, given = self._share_optional(condition), self._share_optional(given)
            world_size = self.fabric.world_size
            parts = [self.generator.sample(num_rows, condition, seed, 0, world_size, given).pack()]
            for rank in range(1, world_size):
                here = self.generator.part_of(num_rows, rank, world_size)
                part = parts[0].new_empty(here.stop - here.start, self.generator.packed_width)
                dist.recv(part, rank)
                parts.append(part)
            return Sampled.unpack(torch.cat(parts), self.generator.num_columns)

    def follow(self) -> None:
        """On the other ranks: carry out rank 0's commands until it leaves its `with`.

        An error here reaches rank 0 as `RankError`, with its traceback, and ends every rank.
        """
        assert isinstance(self._channel, Follower), "follow is for ranks above 0, inside `with`"
        failure = self._serve(self._channel)
        if failure is not None:
            if dist.get_backend() == "gloo":
                # Closes this rank's end of any collective, so that no other rank waits in it. The failed fit's
                # module holds it open until it is collected.
                gc.collect()
                dist.destroy_process_group()
            self._channel.report(failure)
            if failure["user_error"]:
                raise SystemExit(2)
            raise RankError(f"rank {self.fabric.global_rank} failed:\n{failure['failed']}")

    def _serve(self, channel: Follower) -> Message | None:
        try:
            while (order := channel.receive())["op"] != "close":
                self._obey(order)
        except Exception as error:
            return failure_message(error)
        return None

    def _obey(self, order: Message) -> None:
        num_rows, seed = int(order["num_rows"]), int(order["seed"])
        device = self.fabric.device
        if not order["shared"]:
            self.generator.load_state_dict(self.fabric.broadcast({}))
        rows = torch.empty(num_rows, self.generator.num_columns, device=device)  # training rows, or what is given
        condition = torch.empty(num_rows, 1, device=device) if order["conditional"] else None
        if order["op"] == "fit":
            with suppress(GeneratorDiverged):  # on every rank alike; rank 0 decides what follows
                fit(self.fabric, self.generator, self._share(rows), self._share_optional(condition), seed)
        else:
            rank, world_size = self.fabric.global_rank, self.fabric.world_size
            condition = self._share_optional(condition)
            given = self._share(rows) if order["given"] else None
            dist.send(self.generator.sample(num_rows, condition, seed, rank, world_size, given).pack(), 0)

    @contextmanager
    def _order(
        self, op: str, num_rows: int, condition: Tensor | None, seed: int, given: Tensor | None = None
    ) -> Iterator[None]:
        if not isinstance(self._channel, Leader):
            yield
            return
        self._channel.check()
        has = {"conditional": condition is not None, "given": given is not None, "shared": self._is_shared}
        self._channel.send({"op": op, "num_rows": num_rows, "seed": seed, **has})
        try:
            if not self._is_shared:
                self.fabric.broadcast({name: tensor.cpu() for name, tensor in self.generator.state_dict().items()})
                self._is_shared = True
            yield
        except Exception:
            self._channel.check(BLAME_SECONDS)
            raise
        except BaseException:
            self._abandoned = True
            raise

    def _share(self, tensor: Tensor) -> Tensor:
        tensor = tensor.to(self.fabric.device, torch.float32).contiguous()
        if self.fabric.world_size > 1:
            dist.broadcast(tensor, src=0)
        return tensor

    def _share_optional(self, tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else self._share(tensor)
