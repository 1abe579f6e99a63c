"""Step model of extremely randomised trees (Geurts et al., 2006), for rules seen a few times.

A network that learns an interaction from ten examples confuses its cause with all that was true by chance in them; a
tree splits first on the entry that matters most. Each next column has a forest of its own. An unchanged value is one
class, the copy, so that "nothing changes here" need not be learned for every value.

Independent forests may predict that a soup is delivered and still in hand: a reward without end. So the events (next
columns that are the next of no current one: rewards, say) are predicted first, and are inputs of the other forests (a
classifier chain: Read et al., 2011).

A partner's action in a state is not deterministic, so the leaves of its trees hold shares of actions.

Shapes: N training rows, B rows, C input columns, T target columns, H of them events, K choices of the widest target
column, Z trees of a forest, J nodes of all trees, E entries that trees split on (one-hots), A actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.ensemble import ExtraTreesClassifier
from torch import Tensor, nn
from torch.nn.functional import one_hot

from genreplay.generators.discrete.categories import Categories
from genreplay.generators.discrete.one_step import counterparts

MAX_FEATURES = 0.5
"""Share of the entries that a split chooses from: fewer make the trees differ more, and doubt more."""
PARTNER_NUM_TREES, PARTNER_MAX_FEATURES, PARTNER_MIN_ROWS = 48, 0.3, 5
"""Of the trees that predict a partner's action; MIN_ROWS is the least number of rows in a leaf."""


class Trees(nn.Module):
    """Forests of Z trees each. `state_dict` has their nodes, so that they are saved and loaded like weights.

    Args:
        num_forests: how many.
        num_trees: Z.
        choice: the prediction of every tree before the first fit, `[1]` or `[1, A]`.
    """

    entry: Tensor
    """`[J]`: the input entry a node splits on; any for a leaf."""
    followers: Tensor
    """`[J, 2]`: the next node where that entry is 0, and where it is 1; a leaf leads to itself."""
    choice: Tensor
    """`[J]` or `[J, A]`: the prediction of a leaf."""
    roots: Tensor
    """`[forests, Z]`: where each tree begins."""
    depth: Tensor
    """`[]`: steps from a root to the farthest leaf."""

    def __init__(self, num_forests: int, num_trees: int, choice: Tensor):
        super().__init__()
        self.num_trees = num_trees
        shapes = {"entry": (1,), "followers": (1, 2), "roots": (num_forests, num_trees), "depth": ()}
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.long))
        self.register_buffer("choice", choice)

    def set_trees(self, fitted: list[Tree]) -> None:
        """Take over trees, forest by forest."""
        sizes = np.array([len(tree.entry) for tree in fitted])
        roots = sizes.cumsum() - sizes
        joined = {
            "entry": np.concatenate([tree.entry for tree in fitted]),
            "followers": np.concatenate([tree.followers + root for tree, root in zip(fitted, roots, strict=True)]),
            "choice": np.concatenate([tree.choice for tree in fitted]),
            "roots": roots.reshape(-1, self.num_trees),
            "depth": np.array(max(tree.depth for tree in fitted)),
        }
        for name, values in joined.items():
            buffer = getattr(self, name)
            setattr(self, name, torch.from_numpy(values).to(buffer.device, buffer.dtype))

    def leaves(self, entries: Tensor, node: Tensor) -> Tensor:
        """The leaves `[B, *]` that entries `[B, E]` lead to from the roots `node` `[B, *]`."""
        for _ in range(int(self.depth)):
            # `take` costs a third of what indexing does.
            node = self.followers.take(2 * node + entries.gather(1, self.entry.take(node)))
        return node

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take over trees of any size."""
        for name, buffer in self.named_buffers():
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name], device=buffer.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)


class Forests(Trees):
    """T forests: a leaf votes for a value of its target column, or with K for the copy.

    Args:
        inputs: the columns they see.
        targets: the columns to predict.
        num_trees: Z.
    """

    _sources: Tensor

    def __init__(self, inputs: Categories, targets: Categories, num_trees: int):
        super().__init__(len(targets), num_trees, torch.zeros(1, dtype=torch.long))
        self.sizes, self.max_size = inputs.sizes, targets.max_size
        self.register_buffer("_sources", counterparts(inputs, targets), persistent=False)
        lacking = (self._sources < 0).tolist()
        self._events = [column for column, lacks in enumerate(lacking) if lacks]
        self._others = [column for column, lacks in enumerate(lacking) if not lacks]
        self._event_sizes = [targets.sizes[column] for column in self._events]

    def fit(self, inputs: Tensor, targets: Tensor) -> None:
        """Learn codes `[N, T]` from codes `[N, C]`; the same on every machine. Repeated rows count once."""
        both = np.unique(torch.cat([inputs, targets], dim=1).cpu().numpy(), axis=0)
        codes, following = both[:, : inputs.shape[1]], both[:, inputs.shape[1] :]
        entries = _one_hots(torch.from_numpy(codes), self.sizes)
        events = _one_hots(torch.from_numpy(following[:, self._events]), self._event_sizes)
        everything = torch.cat([entries, events], dim=1).numpy().astype(np.float32)
        fitted: list[Tree] = []
        for column, source in enumerate(self._sources.tolist()):
            wanted = following[:, column]
            if source >= 0:
                wanted = np.where(wanted == codes[:, source], self.max_size, wanted)
            known = everything if source >= 0 else everything[:, : entries.shape[1]]
            fitted += _fit_forest(known, wanted, self.num_trees, seed=column)
        self.set_trees(fitted)

    def forward(self, codes: Tensor) -> Tensor:
        """Shares of votes `[B, T, K]` for every choice, for input codes `[B, C]`.

        The likeliest events are inputs of the other columns' forests.
        """
        shares = torch.empty(len(codes), len(self._sources), self.max_size, device=codes.device)
        entries = _one_hots(codes, self.sizes)
        shares[:, self._events] = self._votes(entries, codes, self._events)
        likeliest = shares[:, self._events].argmax(dim=2)
        entries = torch.cat([entries, _one_hots(likeliest, self._event_sizes)], dim=1)
        shares[:, self._others] = self._votes(entries, codes, self._others)
        return shares

    def _votes(self, entries: Tensor, codes: Tensor, columns: list[int]) -> Tensor:
        """Shares of votes `[B, len(columns), K]` of these target columns' forests."""
        leaves = self.leaves(entries, self.roots[columns].view(-1).expand(len(codes), -1))
        choices = self.choice.take(leaves).unflatten(1, (-1, self.num_trees))
        votes = torch.zeros(*choices.shape[:2], self.max_size + 1, device=codes.device)
        votes = votes.scatter_add_(2, choices, torch.ones_like(choices, dtype=votes.dtype)) / self.num_trees
        # Where there is nothing to copy no tree votes for it, so it does not matter what stands here.
        current = codes[:, self._sources[columns].clamp_min(0)].clamp_max(self.max_size - 1)
        return votes[..., :-1] + votes[..., -1:] * one_hot(current, self.max_size)


def _one_hots(codes: Tensor, sizes: Sequence[int]) -> Tensor:
    """`[N, sum(sizes)]`, int64, of codes `[N, len(sizes)]`."""
    blocks = [one_hot(codes[:, i], size) for i, size in enumerate(sizes)]
    return torch.cat([codes[:, :0], *blocks], dim=1)


class Tree(NamedTuple):
    """One tree's nodes, as `Trees` has them; node 0 is the root."""

    entry: np.ndarray
    followers: np.ndarray
    choice: np.ndarray
    depth: int


def _fit_forest(entries: np.ndarray, wanted: np.ndarray, num_trees: int, seed: int) -> list[Tree]:
    """A forest that gives `wanted` `[N]` for `entries` `[N, E]`."""
    if (wanted == wanted[0]).all():
        return [Tree(np.zeros(1), np.zeros((1, 2)), wanted[:1], 0)] * num_trees
    forest = ExtraTreesClassifier(num_trees, max_features=MAX_FEATURES, random_state=seed).fit(entries, wanted)
    trees = [estimator.tree_ for estimator in forest.estimators_]
    return [_tree(tree, forest.classes_[tree.value[:, 0].argmax(axis=1)]) for tree in trees]


def fit_partner_forest(entries: np.ndarray, done: np.ndarray, num_actions: int, seed: int) -> list[Tree]:
    """A forest whose leaves hold the shares of actions `done` `[N]`, as if each had seen one row more of them all."""
    forest = ExtraTreesClassifier(
        PARTNER_NUM_TREES, max_features=PARTNER_MAX_FEATURES, min_samples_leaf=PARTNER_MIN_ROWS, random_state=seed
    ).fit(entries, done)
    fitted = []
    for estimator in forest.estimators_:
        tree = estimator.tree_
        shares, count = np.zeros((tree.node_count, num_actions)), tree.n_node_samples[:, None]
        shares[:, forest.classes_] = tree.value[:, 0] / tree.value[:, 0].sum(axis=1, keepdims=True)
        fitted.append(_tree(tree, (shares * count + 1 / num_actions) / (count + 1)))
    return fitted


def _tree(tree: Any, choice: np.ndarray) -> Tree:
    """Scikit-learn's tree, with the predictions of its nodes."""
    itself, is_leaf = np.arange(tree.node_count), tree.children_left < 0
    followers = np.stack(
        [np.where(is_leaf, itself, child) for child in (tree.children_left, tree.children_right)], axis=1
    )
    return Tree(np.where(is_leaf, 0, tree.feature), followers, choice, tree.max_depth)
