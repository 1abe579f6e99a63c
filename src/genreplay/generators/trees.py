"""What follows a state and an action, by extremely randomised trees (Geurts et al., 2006), for rules seen a few times.

A network that learns what an interaction does from ten examples mixes it up with all that was true by chance in them; a
tree asks first for what matters most. Each next column has a forest of its own; what stays as it was is one class, the
copy, so that "nothing changes here" need not be learned for every value.

Shapes: N training rows, B rows, C input columns, T target columns, K choices of the widest target column, Z trees of a
forest, J nodes of all trees, E input entries (one-hots).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.ensemble import ExtraTreesClassifier
from torch import Tensor, nn
from torch.nn.functional import one_hot

from genreplay.generators.categorical import Categories
from genreplay.generators.one_step import counterparts

MAX_FEATURES = 0.5
"""Share of the entries that a split chooses from: fewer make the trees differ more, and doubt more."""
LEAF = -1


class Forests(nn.Module):
    """T forests of Z trees. `state_dict` has their nodes, so that they are saved and loaded like weights.

    Args:
        inputs: the columns they see.
        targets: the columns that follow.
        num_trees: Z.
    """

    _sources: Tensor
    entry: Tensor
    """`[J]`: which input entry a node asks for; -1 for a leaf."""
    without: Tensor
    """`[J]`: the next node where that entry is 0."""
    having: Tensor
    """`[J]`: the next node where it is 1."""
    choice: Tensor
    """`[J]`: what a leaf votes for: a value, or K for the copy."""
    roots: Tensor
    """`[T * Z]`: where each tree begins, by target column."""

    def __init__(self, inputs: Categories, targets: Categories, num_trees: int):
        super().__init__()
        self.sizes, self.max_size, self.num_trees = inputs.sizes, targets.max_size, num_trees
        self.register_buffer("_sources", counterparts(inputs, targets), persistent=False)
        # Before the first fit every tree is one leaf that votes for the first choice.
        self.register_buffer("entry", torch.full((1,), LEAF))
        for name in ("without", "having", "choice"):
            self.register_buffer(name, torch.zeros(1, dtype=torch.long))
        self.register_buffer("roots", torch.zeros(len(targets) * num_trees, dtype=torch.long))

    def fit(self, inputs: Tensor, targets: Tensor) -> None:
        """Learn codes `[N, T]` from codes `[N, C]`; the same on every machine. Repeated rows count once."""
        both = np.unique(torch.cat([inputs, targets], dim=1).cpu().numpy(), axis=0)
        codes, following = both[:, : inputs.shape[1]], both[:, inputs.shape[1] :]
        entries = self._entries(torch.from_numpy(codes)).numpy().astype(np.float32)
        nodes: list[np.ndarray] = []
        roots, start = [], 0
        for column, source in enumerate(self._sources.tolist()):
            wanted = following[:, column]
            if source >= 0:
                wanted = np.where(wanted == codes[:, source], self.max_size, wanted)
            for tree in _grow(entries, wanted, self.num_trees, seed=column):
                roots.append(start)
                nodes.append(np.stack([tree[0], tree[1] + start, tree[2] + start, tree[3]]))
                start += tree.shape[1]
        device = self.entry.device
        for name, values in zip(("entry", "without", "having", "choice"), np.concatenate(nodes, axis=1), strict=True):
            setattr(self, name, torch.from_numpy(values).to(device))
        self.roots = torch.tensor(roots, device=device)

    def forward(self, codes: Tensor) -> Tensor:
        """Shares of votes `[B, T, K]` for every choice, for input codes `[B, C]`."""
        entries = self._entries(codes)
        node = self.roots.expand(len(codes), -1)
        while True:
            asks = self.entry[node]
            if bool((asks == LEAF).all()):
                break
            having = entries.gather(1, asks.clamp_min(0))
            node = torch.where(asks == LEAF, node, torch.where(having, self.having[node], self.without[node]))
        choices = self.choice[node].unflatten(1, (-1, self.num_trees))
        votes = torch.zeros(*choices.shape[:2], self.max_size + 1, device=codes.device)
        votes = votes.scatter_add_(2, choices, torch.ones_like(choices, dtype=votes.dtype)) / self.num_trees
        current = codes[:, self._sources.clamp_min(0)].clamp_max(self.max_size - 1)
        return votes[..., :-1] + votes[..., -1:] * one_hot(current, self.max_size)

    def _entries(self, codes: Tensor) -> Tensor:
        """One-hots `[B, E]`, bool."""
        return torch.cat([one_hot(codes[:, i], size) for i, size in enumerate(self.sizes)], dim=1).bool()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take over trees of any size."""
        for name, buffer in self.named_buffers():
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name], device=buffer.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _grow(entries: np.ndarray, wanted: np.ndarray, num_trees: int, seed: int) -> list[np.ndarray]:
    """Nodes of each tree as `[4, nodes]`: entry, next without it, next having it, choice; a leaf leads to itself."""
    if (wanted == wanted[0]).all():
        return [np.array([[LEAF], [0], [0], [wanted[0]]])] * num_trees
    forest = ExtraTreesClassifier(num_trees, max_features=MAX_FEATURES, random_state=seed).fit(entries, wanted)
    grown = []
    for estimator in forest.estimators_:
        tree = estimator.tree_
        itself, is_leaf = np.arange(tree.node_count), tree.children_left < 0
        choice = forest.classes_[tree.value[:, 0].argmax(axis=1)]
        grown.append(
            np.stack(
                [
                    np.where(is_leaf, LEAF, tree.feature),
                    np.where(is_leaf, itself, tree.children_left),
                    np.where(is_leaf, itself, tree.children_right),
                    choice,
                ]
            ).astype(np.int64)
        )
    return grown
