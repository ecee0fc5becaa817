"""A second opinion beside the network: a random forest on the rolling features of single timesteps.

It needs few series, and knows thresholds that a network has to approximate (Breiman 2001,
doi 10.1023/A:1010933404324). Its trees are kept as arrays, so that predicting needs no scikit-learn, and a
model file no pickle.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

TREES = 40
DEPTH = 14  # at most
MOST_TIMESTEPS = 10_000  # of all series: neighbours say much the same
LEAST_IN_LEAF = 2  # timesteps
LEAF_SHARE = 1 / 8  # of a short run that a leaf holds at least
ASKED_IN_RUN = 8  # timesteps of a short run that the forest is asked about: its features change slowly
TIMESTEPS_IN_CHUNK = 2048  # whose nodes stay in the processor's cache


@dataclass(frozen=True, slots=True)
class Forest:
    """Nodes of all trees behind one another, the first ones at `roots` `(trees,)`.

    A timestep whose `feature` is at most the `threshold` goes on to the first of a node's `children`
    `(nodes, 2)`, else to the second; a leaf is its own child. `shares` `(nodes, classes)` are those of the
    classes among a node's timesteps. Each timestep in `every` is asked about.
    """

    roots: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: FloatArray
    children: NDArray[np.int32]
    shares: FloatArray
    every: int = 1

    @classmethod
    def fit(
        cls, features: Sequence[FloatArray], targets: Sequence[IntArray], classes: int, run: float, seed: int
    ) -> "Forest":
        """From `(timesteps, features)` and the class of each timestep, one array a series; `run` is the
        length of a short labelled run, in timesteps. Classes weigh alike.
        """
        from sklearn.ensemble import RandomForestClassifier  # here: a second that only training needs

        rows = np.concatenate(features)
        truth = np.concatenate(targets)
        known = np.flatnonzero(truth >= 0)
        random = np.random.default_rng(seed)
        picked = np.sort(random.permutation(known)[:MOST_TIMESTEPS])
        picked = _with_every_class(picked, truth, known, random)
        model = RandomForestClassifier(
            TREES,
            max_depth=DEPTH,
            min_samples_leaf=max(LEAST_IN_LEAF, int(run * LEAF_SHARE)),
            class_weight="balanced_subsample",
            random_state=seed,
        ).fit(rows[picked], truth[picked])
        trees = [each.tree_ for each in model.estimators_]
        roots = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
        shares = np.zeros((sum(tree.node_count for tree in trees), classes), np.float32)
        shares[:, model.classes_] = np.concatenate([tree.value[:, 0] for tree in trees])
        shares /= shares.sum(axis=1, keepdims=True)
        return cls(
            roots.astype(np.int32),
            np.concatenate([np.maximum(tree.feature, 0) for tree in trees]).astype(np.int32),
            np.concatenate([tree.threshold for tree in trees]).astype(np.float32),
            np.concatenate([_children(tree) + root for tree, root in zip(trees, roots, strict=True)]),
            shares,
            max(1, int(run / ASKED_IN_RUN)),
        )

    def probabilities(self, features: FloatArray) -> FloatArray:
        """`(timesteps, features)` to class probabilities `(timesteps / every, classes)`, rounded up."""
        middles = np.arange(self.every // 2, len(features) + self.every // 2, self.every)
        features = features[np.minimum(middles, len(features) - 1)]
        probabilities = np.empty((len(features), self.shares.shape[1]), np.float32)
        for first in range(0, len(features), TIMESTEPS_IN_CHUNK):
            rows = features[first : first + TIMESTEPS_IN_CHUNK]
            places = np.arange(len(rows))[:, None]
            nodes = np.broadcast_to(self.roots, (len(rows), len(self.roots)))
            for _ in range(DEPTH):
                right = rows[places, self.feature[nodes]] > self.threshold[nodes]
                nodes = self.children[nodes, right.astype(np.int8)]
            probabilities[first : first + len(rows)] = self.shares[nodes].mean(axis=1)
        return probabilities


def _children(tree: object) -> NDArray[np.int32]:
    """Those of each node of scikit-learn's tree; -1 is a leaf's."""
    children = np.stack([tree.children_left, tree.children_right], axis=1)  # type: ignore[attr-defined]
    own = np.arange(len(children))[:, None]
    return np.where(children < 0, own, children).astype(np.int32)


def _with_every_class(
    picked: IntArray, truth: IntArray, known: IntArray, random: np.random.Generator
) -> IntArray:
    """The picked timesteps, and a few of each class that is not among them."""
    missing = np.setdiff1d(truth[known], truth[picked])
    more = [random.permutation(known[truth[known] == number])[:LEAST_IN_LEAF] for number in missing]
    return np.concatenate([picked, *more])
