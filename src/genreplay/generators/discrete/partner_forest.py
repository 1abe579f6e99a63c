"""Trees that predict a partner's action."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from genreplay.generators.discrete.categories import Categories
from genreplay.generators.discrete.forests import PARTNER_NUM_TREES, Tree, Trees, fit_partner_forest
from genreplay.transitions.keys import ACTION, LEARNER, PARTNER


class PartnerForest(Trees):
    """p(action of the seat that does not learn | all other current columns): one forest with the partner's code
    as an input, and one without.

    Args:
        inputs: the columns of a state, both actions, `learner`, and `partner` where there are several.
    """

    def __init__(self, inputs: Categories):
        actions = [column for column, key in enumerate(inputs.keys) if key == ACTION]
        num_actions = inputs.sizes[actions[0]]
        super().__init__(2, PARTNER_NUM_TREES, torch.full((1, num_actions), 1 / num_actions))
        self._actions, self.num_actions = actions, num_actions
        self._learner = inputs.keys.index(LEARNER)
        self._partner = inputs.keys.index(PARTNER) if PARTNER in inputs.keys else None
        self._input_columns = [column for column in range(len(inputs)) if column not in self._actions]
        self._sizes = inputs.sizes

    def fit(self, codes: Tensor) -> None:
        """Learn from codes `[N, C]`, repeated ones too, as leaves hold shares; the same on every machine."""
        codes = codes.cpu()
        done = codes[:, self._actions].gather(1, 1 - codes[:, self._learner, None]).view(-1).numpy()
        unknown = codes.clone()
        if self._partner is not None:
            unknown[:, self._partner] = self._sizes[self._partner]
        fitted: list[Tree] = []
        for seed, known in enumerate((codes, unknown)):
            entries = self._entries(known).numpy().astype(np.float32)
            fitted += fit_partner_forest(entries, done, self.num_actions, seed)
        self.set_trees(fitted)

    def forward(self, codes: Tensor) -> Tensor:
        """Shares `[B, A]` for codes `[B, C]`, whose actions do not matter and whose partner may be masked."""
        unknown = torch.zeros(len(codes), dtype=torch.long, device=codes.device)
        if self._partner is not None:
            unknown = (codes[:, self._partner] == self._sizes[self._partner]).long()
        return self.choice[self.leaves(self._entries(codes), self.roots[unknown])].mean(dim=1)

    def _entries(self, codes: Tensor) -> Tensor:
        """One-hots of the inputs; a masked column has none."""
        blocks = [one_hot(codes[:, column], self._sizes[column] + 1)[:, :-1] for column in self._input_columns]
        return torch.cat(blocks, dim=1)
