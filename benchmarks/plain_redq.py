"""REDQ-SAC as its authors structure it: separate networks and optimisers, one Python loop over everything.

Independent of genreplay: the tests hold the package's agent against it, `critic_updates.py` measures both.
Shapes: B batch, O observation, A action. Where the authors' release and the paper's algorithm 1 differ (the
actor's gradient is taken before or after the critics' last step) this follows the paper.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.distributions import Normal


def mlp(in_width: int, out_width: int, hidden_width: int) -> nn.Sequential:
    widths = [in_width, hidden_width, hidden_width]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden_width, out_width))


class PlainRedq:
    """N critics, N target critics, N + 2 Adam optimisers."""

    def __init__(
        self,
        observation_width: int,
        action_width: int,
        *,
        hidden_width: int = 256,
        ensemble_size: int = 10,
        subset_size: int = 2,
        gamma: float = 0.99,
        learning_rate: float = 3e-4,
        polyak: float = 0.995,
        epsilon: float = 1e-6,
    ):
        self.epsilon = epsilon
        self.action_width, self.subset_size, self.gamma, self.polyak = action_width, subset_size, gamma, polyak
        self.actor = mlp(observation_width, 2 * action_width, hidden_width)
        sizes = (observation_width + action_width, 1, hidden_width)
        self.critics = [mlp(*sizes) for _ in range(ensemble_size)]
        self.targets = [mlp(*sizes) for _ in range(ensemble_size)]
        for critic, target in zip(self.critics, self.targets, strict=True):
            target.load_state_dict(critic.state_dict())
        self.log_alpha = torch.zeros(1, requires_grad=True)
        self.alpha = 1.0
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=learning_rate)
        self.critic_optimizers = [torch.optim.Adam(c.parameters(), lr=learning_rate) for c in self.critics]
        self.alpha_optimizer = torch.optim.Adam([self.log_alpha], lr=learning_rate)

    def act(self, observation, noise):
        """Action `[B, A]` and log-probability `[B, 1]`; the noise is drawn where it is None."""
        mean, log_std = self.actor(observation).chunk(2, dim=1)
        normal = Normal(mean, log_std.clamp(-20, 2).exp())
        before_tanh = normal.rsample() if noise is None else mean + normal.stddev * noise
        action = torch.tanh(before_tanh)
        log_prob = normal.log_prob(before_tanh) - torch.log(1 - action**2 + self.epsilon)
        return action, log_prob.sum(dim=1, keepdim=True)

    def update_critics(self, batch: dict, noise=None, subset=None) -> float:
        """One critic update of every critic; `subset` and `noise` are drawn where they are None."""
        if subset is None:
            subset = np.random.choice(len(self.critics), self.subset_size, replace=False)
        with torch.no_grad():
            next_action, next_log_prob = self.act(batch["next_observation"], noise)
            next_input = torch.cat([batch["next_observation"], next_action], 1)
            next_q = torch.cat([self.targets[i](next_input) for i in subset], 1).min(dim=1, keepdim=True).values
            next_value = next_q - self.alpha * next_log_prob
            y = batch["reward"] + self.gamma ** batch["duration"] * (1 - batch["terminated"]) * next_value
        x = torch.cat([batch["observation"], batch["action"]], 1)
        predictions = torch.cat([critic(x) for critic in self.critics], 1)
        loss = nn.functional.mse_loss(predictions, y.expand(-1, len(self.critics))) * len(self.critics)
        for optimizer in self.critic_optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in self.critic_optimizers:
            optimizer.step()
        for critic, target in zip(self.critics, self.targets, strict=True):
            for new, old in zip(critic.parameters(), target.parameters(), strict=True):
                old.data.copy_(self.polyak * old.data + (1 - self.polyak) * new.data)
        return loss.item() / len(self.critics)

    def update_actor(self, batch: dict, noise=None) -> float:
        """One actor and one temperature update."""
        action, log_prob = self.act(batch["observation"], noise)
        for critic in self.critics:
            critic.requires_grad_(False)
        q = torch.cat([critic(torch.cat([batch["observation"], action], 1)) for critic in self.critics], 1)
        loss = (self.alpha * log_prob - q.mean(dim=1, keepdim=True)).mean()
        self.actor_optimizer.zero_grad()
        loss.backward()
        self.actor_optimizer.step()
        for critic in self.critics:
            critic.requires_grad_(True)
        alpha_loss = -(self.log_alpha * (log_prob - self.action_width).detach()).mean()
        self.alpha_optimizer.zero_grad()
        alpha_loss.backward()
        self.alpha_optimizer.step()
        self.alpha = self.log_alpha.exp().item()
        return loss.item()
