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
MOST_IN_TREE = 3_000  # of these, that a tree draws: most of the time is for sorting them
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

        truth = np.concatenate(targets)
        known = np.flatnonzero(truth >= 0)
        random = np.random.default_rng(seed)
        picked = np.sort(random.permutation(known)[:MOST_TIMESTEPS])
        picked = _with_every_class(picked, truth, known, random)
        model = RandomForestClassifier(
            TREES,
            max_depth=DEPTH,
            min_samples_leaf=max(LEAST_IN_LEAF, int(run * LEAF_SHARE)),
            max_samples=min(len(picked), MOST_IN_TREE),
            class_weight="balanced_subsample",
            random_state=seed,
        ).fit(_timesteps(features, picked), truth[picked])
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
        numbers = np.arange(-(-len(features) // self.every))
        return Lookup(self).shares(features[asked_timesteps(numbers, self.every, len(features))])


def asked_timesteps(numbers: IntArray, every: int, timesteps: int) -> IntArray:
    """The timesteps in the middle of these groups of `every` ones of a series."""
    return np.minimum(numbers * every + every // 2, timesteps - 1)


class Lookup:
    """A forest as it is asked fastest: all trees take a step at once, those that go on longest first."""

    def __init__(self, forest: Forest) -> None:
        depths = _depths(forest)
        self._roots = forest.roots[np.argsort(-depths, kind="stable")].astype(np.int64)[:, None]
        self._trees = [int((depths > depth).sum()) for depth in range(depths.max())]  # that go on
        self._feature = forest.feature.astype(np.int64)
        self._threshold = forest.threshold
        self._children = forest.children.ravel().astype(np.int64)
        self._shares = forest.shares

    def shares(self, timesteps: FloatArray) -> FloatArray:
        """`(N, features)` to class probabilities `(N, classes)`."""
        parts = [
            self._shares_of(timesteps[first : first + TIMESTEPS_IN_CHUNK])
            for first in range(0, len(timesteps), TIMESTEPS_IN_CHUNK)
        ]
        return np.concatenate([np.zeros((0, self._shares.shape[1]), np.float32), *parts])

    def _shares_of(self, timesteps: FloatArray) -> FloatArray:
        cells, firsts = timesteps.ravel(), np.arange(len(timesteps)) * timesteps.shape[1]
        nodes = np.repeat(self._roots, len(timesteps), axis=1)
        for trees in self._trees:
            here = nodes[:trees]
            places = self._feature.take(here, mode="clip")  # which is faster than without a mode
            places += firsts
            right = cells.take(places, mode="clip") > self._threshold.take(here, mode="clip")
            here *= 2
            here += right
            nodes[:trees] = self._children.take(here, mode="clip")
        shares: FloatArray = self._shares.take(nodes, axis=0).mean(axis=0)
        return shares


def _depths(forest: Forest) -> IntArray:
    """How many steps the deepest leaf of each tree is away from its root."""
    depths = np.zeros(len(forest.roots), np.int64)
    trees, nodes = np.arange(len(forest.roots)), forest.roots
    while len(nodes):
        inner = forest.children[nodes, 0] != nodes
        trees, nodes = np.repeat(trees[inner], 2), forest.children[nodes[inner]].ravel()
        depths[np.unique(trees)] += 1
    return depths


def _children(tree: object) -> NDArray[np.int32]:
    """Those of each node of scikit-learn's tree; -1 is a leaf's."""
    children = np.stack([tree.children_left, tree.children_right], axis=1)  # type: ignore[attr-defined]
    own = np.arange(len(children))[:, None]
    return np.where(children < 0, own, children).astype(np.int32)


def _timesteps(features: Sequence[FloatArray], picked: IntArray) -> FloatArray:
    """The `picked` ones of all series, `(N, features)`."""
    rows = np.empty((len(picked), features[0].shape[1]), np.float32)
    ends = np.cumsum([len(each) for each in features])
    places = np.argsort(picked, kind="stable")
    of_series = np.split(places, np.searchsorted(picked[places], ends[:-1]))
    for each, end, own in zip(features, ends, of_series, strict=True):
        rows[own] = each[picked[own] - (end - len(each))]
    return rows


def _with_every_class(
    picked: IntArray, truth: IntArray, known: IntArray, random: np.random.Generator
) -> IntArray:
    """The picked timesteps, and more of the rarest classes, some repeatedly: on average, a tree draws as many
    of each class as a leaf holds at least.
    """
    least = -(-LEAST_IN_LEAF * len(picked) // MOST_IN_TREE)
    counts = np.bincount(truth[picked], minlength=truth.max() + 1)
    more = [
        np.resize(random.permutation(known[truth[known] == number]), least - counts[number])
        for number in np.unique(truth[known])
        if counts[number] < least
    ]
    return np.concatenate([picked, *more])
