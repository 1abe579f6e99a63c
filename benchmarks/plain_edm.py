"""A diffusion model of transitions as its authors structure it: one optimiser step, one sampler, Python loops.

Independent of genreplay, for `generator_speed.py` to measure. Karras et al. (2022), EDM, with the residual MLP and the
options of SynthER's release (Lu et al., 2023), and PGR's guidance (Wang et al., 2025). Left out, in its favour: the
DataLoader that gathers each batch row by row.

Shapes: B rows, D columns, W width.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

EMBEDDING_WIDTH, NUM_FREQUENCIES = 128, 8
SIGMA_MIN, SIGMA_MAX, SIGMA_DATA, RHO = 0.002, 80.0, 1.0, 7.0
P_MEAN, P_STD = -1.2, 1.2
S_CHURN, S_TMIN, S_TMAX, S_NOISE = 80.0, 0.05, 50.0, 1.003
CONDITION_DROPOUT = 0.25
EMA_DECAY, EMA_EVERY = 0.995, 10


class Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.linear(torch.relu(self.norm(x)))


class Network(nn.Module):
    """F(x, c_noise, condition)."""

    def __init__(self, num_columns: int, width: int, depth: int):
        super().__init__()
        inner = EMBEDDING_WIDTH
        self.frequencies = nn.Parameter(torch.randn(NUM_FREQUENCIES), requires_grad=False)
        self.time = nn.Sequential(nn.Linear(2 * NUM_FREQUENCIES + 1, inner), nn.SiLU(), nn.Linear(inner, inner))
        self.condition = nn.Sequential(nn.Linear(1, inner), nn.SiLU(), nn.Linear(inner, inner))
        self.columns = nn.Linear(num_columns, inner)
        blocks = [Block(width) for _ in range(depth)]
        self.body = nn.Sequential(nn.Linear(inner, width), *blocks, nn.ReLU(), nn.Linear(width, num_columns))

    def forward(self, x: Tensor, c_noise: Tensor, condition: Tensor, keep: Tensor) -> Tensor:
        phase = c_noise[:, None] * self.frequencies[None] * 2 * math.pi
        features = torch.cat([c_noise[:, None], phase.sin(), phase.cos()], dim=-1)
        return self.body(self.columns(x) + self.time(features) + keep * self.condition(condition))


class PlainEdm:
    """Trains on rows `[N, D]` with conditions `[N, 1]`, and samples."""

    def __init__(self, rows: Tensor, condition: Tensor, *, width: int, depth: int, batch_size: int = 256):
        self.mean, self.std = rows.mean(dim=0), rows.std(dim=0)
        self.rows, self.condition, self.batch_size = rows, condition, batch_size
        self.network = Network(rows.shape[1], width, depth).to(rows.device)
        self.ema = copy.deepcopy(self.network)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=3e-4, betas=(0.9, 0.99))
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, 100_000)
        self.num_steps = self.num_evaluations = 0

    def denoise(self, network: nn.Module, x: Tensor, sigma: Tensor, condition: Tensor, keep: Tensor) -> Tensor:
        """D(x; sigma) `[B, D]` (EDM, equation 7)."""
        s = sigma[:, None]
        skip = SIGMA_DATA**2 / (s**2 + SIGMA_DATA**2)
        out = s * SIGMA_DATA / (s**2 + SIGMA_DATA**2).sqrt()
        scaled = x / (s**2 + SIGMA_DATA**2).sqrt()
        self.num_evaluations += 1
        return skip * x + out * network(scaled, sigma.log() / 4, condition, keep)

    def train_step(self) -> float:
        """One optimiser step; its loss (EDM, equation 2)."""
        index = torch.randint(len(self.rows), (self.batch_size,), device=self.rows.device)
        rows, condition = (self.rows[index] - self.mean) / self.std, self.condition[index]
        sigma = (P_MEAN + P_STD * torch.randn(self.batch_size, device=rows.device)).exp()
        keep = (torch.rand(self.batch_size, 1, device=rows.device) >= CONDITION_DROPOUT).float()
        noised = rows + sigma[:, None] * torch.randn_like(rows)
        error = (self.denoise(self.network, noised, sigma, condition, keep) - rows).square().mean(dim=1)
        loss = (error * (sigma**2 + SIGMA_DATA**2) / (sigma * SIGMA_DATA) ** 2).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()
        self.num_steps += 1
        if self.num_steps % EMA_EVERY == 0:
            for new, average in zip(self.network.parameters(), self.ema.parameters(), strict=True):
                average.data.copy_(EMA_DECAY * average.data + (1 - EMA_DECAY) * new.data)
        return loss.item()

    @torch.no_grad()
    def sample(self, condition: Tensor, num_steps: int = 128, guidance: float | None = None) -> Tensor:
        """Rows `[B, D]` by stochastic Heun (EDM, algorithm 2), 2 `num_steps` - 1 evaluations of the network.

        With `guidance` the first evaluation of each step is guided, as in PGR's release: `num_steps` more.
        """
        rank = torch.arange(num_steps, device=condition.device)
        top, bottom = SIGMA_MAX ** (1 / RHO), SIGMA_MIN ** (1 / RHO)
        sigmas = torch.cat([(top + rank / (num_steps - 1) * (bottom - top)) ** RHO, torch.zeros_like(rank[:1])])
        ones, size = torch.ones_like(condition), (len(condition), self.rows.shape[1])
        x = sigmas[0] * torch.randn(size, device=condition.device)
        for i in range(num_steps):
            sigma, sigma_next = sigmas[i].item(), sigmas[i + 1].item()
            gamma = min(S_CHURN / num_steps, math.sqrt(2) - 1) if S_TMIN <= sigma <= S_TMAX else 0.0
            raised = sigma + gamma * sigma
            x = x + math.sqrt(raised**2 - sigma**2) * S_NOISE * torch.randn_like(x)
            level = torch.full((len(x),), raised, device=x.device)
            clean = self.denoise(self.ema, x, level, condition, ones)
            if guidance is not None:
                without = self.denoise(self.ema, x, level, condition, torch.zeros_like(ones))
                clean = without + guidance * (clean - without)
            slope = (x - clean) / raised
            following = x + (sigma_next - raised) * slope
            if sigma_next > 0:
                level = torch.full((len(x),), sigma_next, device=x.device)
                clean = self.denoise(self.ema, following, level, condition, ones)
                following = x + (sigma_next - raised) * (slope + (following - clean) / sigma_next) / 2
            x = following
        return x * self.std + self.mean
