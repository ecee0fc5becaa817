"""A third opinion, of shapes: fixed convolutions at random, and a linear layer on how often each is high.

They are those of MiniRocket (Dempster et al. 2021, doi 10.1145/3447548.3467231): kernels of nine timesteps,
-1 or 2 each, that see no level, at several dilations; here they are averaged around each timestep instead of
over a whole series. A few series suffice to learn the linear layer, which also gets the rolling features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from timeseries_segmenter.learning.examples import choose_some

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

KERNEL = 9  # timesteps
TWOS = np.array(list(combinations(range(KERNEL), 3)))  # the places of the 2 in each kernel
KERNELS = 2 * len(TWOS)  # of all dilations, which share them
BIASES = 3  # of each kernel at each dilation
MOST_DILATIONS = 4
MOST_TIMESTEPS = 4_000  # of all series: neighbours say much the same
MOST_SERIES = 64  # that are learned from, so that many short ones cost no more
PLACES_FOR_BIASES = 300  # in each series
PENALTY = 1e-4  # nats a timestep, for a squared weight
ITERATIONS = 40
COUNTED_AT_ONCE = 1 << 15  # timesteps, of all kernels that are counted together
ASKED_IN_RUN = 8  # timesteps of a short run that are asked about


@dataclass(frozen=True, slots=True)
class Convolutions:
    """Kernels at `dilations` (timesteps) with a 2 at the places `twos` `(dilations, kernels, 3)`, each on the
    sum of some inputs, `mixes` `(dilations, kernels, inputs)`, compared with `biases` `(dilations, kernels,
    BIASES)`, and averaged over `width` timesteps.

    `weights` `(features, classes)` and `intercepts` `(classes,)` make logits of these shares and of the
    rolling features behind them. Each timestep in `every` is asked about.
    """

    dilations: tuple[int, ...]
    twos: IntArray
    mixes: FloatArray
    biases: FloatArray
    width: int
    weights: FloatArray
    intercepts: FloatArray
    every: int = 1

    @classmethod
    def fit(
        cls,
        means: Sequence[FloatArray],
        features: Sequence[FloatArray],
        targets: Sequence[IntArray],
        classes: int,
        run: float,
        seed: int,
    ) -> "Convolutions":
        """From the inputs' means `(inputs, timesteps)`, the rolling features `(timesteps, features)` and the
        class of each timestep, one array a series; `run` is the length of a short labelled run, in timesteps.
        Classes weigh alike.
        """
        random = np.random.default_rng(seed)
        some = choose_some(len(means), MOST_SERIES, seed)
        chosen = [(means[place], features[place], targets[place]) for place in some]
        kernels = cls._kernels([of_series for of_series, _, _ in chosen], run, random)
        rows, truth = [], []
        known = sum(int((each >= 0).sum()) for _, _, each in chosen)
        share = min(1.0, MOST_TIMESTEPS / max(1, known))
        for of_series, beside, each in chosen:
            places = np.flatnonzero((each >= 0) & (random.random(len(each)) < share))
            rows.append(np.concatenate([kernels.shares(of_series, places), beside[places]], axis=1))
            truth.append(each[places])
        return kernels.with_linear(np.concatenate(rows), np.concatenate(truth), classes)

    @classmethod
    def fit_kernels(cls, means: Sequence[FloatArray], run: float, seed: int) -> "Convolutions":
        """Those without a linear layer; parameters as for `fit`."""
        some = [means[place] for place in choose_some(len(means), MOST_SERIES, seed)]
        return cls._kernels(some, run, np.random.default_rng(seed))

    @classmethod
    def _kernels(cls, means: Sequence[FloatArray], run: float, random: np.random.Generator) -> "Convolutions":
        dilations = tuple(2**power for power in range(MOST_DILATIONS) if (KERNEL - 1) * 2**power <= run)
        dilations = dilations or (1,)
        count = min(len(TWOS), KERNELS // len(dilations))
        twos = np.stack([TWOS[np.sort(random.permutation(len(TWOS))[:count])] for _ in dilations])
        mixes = np.stack([_mixes(count, len(means[0]), random) for _ in dilations])
        width = max(3, int(run) | 1)
        biases = _biases(means, dilations, twos, mixes, random)
        weights, intercepts = np.zeros((0, 0), np.float32), np.zeros(0, np.float32)
        every = max(1, int(run / ASKED_IN_RUN))
        return cls(dilations, twos, mixes, biases, width, weights, intercepts, every)

    def with_linear(self, rows: FloatArray, truth: IntArray, classes: int) -> "Convolutions":
        """The same with a linear layer, learned from shares and rolling features `(N, features)`."""
        weights, intercepts = _linear(rows, truth, classes)
        return replace(self, weights=weights, intercepts=intercepts)

    @property
    def reach(self) -> int:
        """Timesteps on either side that what is said of a timestep depends on."""
        return KERNEL // 2 * max(self.dilations) + self.width // 2

    def probabilities(self, means: FloatArray, features: FloatArray, places: IntArray) -> FloatArray:
        """Class probabilities `(N, classes)` of the timesteps at `places`, from the `means` `(inputs,
        timesteps)` and the rolling features of these places, `(N, features)`.
        """
        number = self.weights.shape[0] - features.shape[1]
        logits = self.shares(means, places) @ self.weights[:number]
        logits += features @ self.weights[number:] + self.intercepts
        logits -= logits.max(axis=1, keepdims=True)
        probabilities: FloatArray = np.exp(logits, out=logits)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return probabilities

    def shares(self, means: FloatArray, places: IntArray) -> FloatArray:
        """How often each kernel exceeds each bias around the `places` of `means` `(inputs, timesteps)`,
        `(N, dilations * kernels * BIASES)`.
        """
        half = self.width // 2
        first = np.maximum(places - half, 0)
        end = np.minimum(places + half + 1, means.shape[1])
        length = means.shape[1]
        shares = np.empty((*self.biases.shape, len(places)), np.float32)
        at_once = max(1, COUNTED_AT_ONCE // length)
        counts = np.zeros((at_once, BIASES, length + 1), np.int32)
        for number, (dilation, twos) in enumerate(zip(self.dilations, self.twos, strict=True)):
            seen = _mix(means, dilation, self.mixes[number])
            for start in range(0, len(twos), at_once):
                some = slice(start, min(start + at_once, len(twos)))
                of_some = counts[: some.stop - start]
                convolved = _convolve(seen[some], twos[some])
                high = convolved[:, None] > self.biases[number, some, :, None]
                np.cumsum(high, axis=-1, out=of_some[..., 1:])
                shares[number, some] = of_some[..., end] - of_some[..., first]
        shares /= end - first
        return shares.reshape(-1, len(places)).T


def _mix(means: FloatArray, dilation: int, mix: FloatArray) -> FloatArray:
    """What each kernel sees of `means` `(inputs, timesteps)`: `(kernels, taps, timesteps)`, a view.

    The outermost values are repeated beyond the ends.
    """
    length, reach = means.shape[1], KERNEL // 2 * dilation
    mixed = np.pad(mix @ means, ((0, 0), (reach, reach)), mode="edge")
    shape, (of_kernel, of_timestep) = (len(mix), KERNEL, length), mixed.strides
    return as_strided(mixed, shape, (of_kernel, dilation * of_timestep, of_timestep), writeable=False)


def _convolve(seen: FloatArray, twos: IntArray) -> FloatArray:
    """`(kernels, taps, timesteps)` to `(kernels, timesteps)`."""
    every = np.arange(len(seen))
    convolved: FloatArray = 3 * sum(seen[every, places] for places in twos.T)
    for tap in range(KERNEL):
        convolved -= seen[:, tap]
    return convolved


def _mixes(kernels: int, inputs: int, random: np.random.Generator) -> FloatArray:
    """For each kernel, which inputs it sees the sum of: few mostly, nine at most."""
    mixes = np.zeros((kernels, inputs), np.float32)
    most = np.log2(min(inputs, KERNEL) + 1)
    for mix in mixes:
        count = min(inputs, int(2 ** random.uniform(0, most)))
        mix[random.choice(inputs, count, replace=False)] = 1
    return mixes


def _biases(
    means: Sequence[FloatArray],
    dilations: Sequence[int],
    twos: IntArray,
    mixes: FloatArray,
    random: np.random.Generator,
) -> FloatArray:
    """Quantiles of what the kernels give on the training series, other ones for each kernel."""
    golden = (np.sqrt(5) - 1) / 2
    quantiles = (np.arange(1, mixes.shape[1] * BIASES + 1) * golden % 1).reshape(-1, BIASES)
    biases = []
    for dilation, of_dilation, mix in zip(dilations, twos, mixes, strict=True):
        seen = []
        for of_series in means:
            places = random.integers(0, of_series.shape[1], PLACES_FOR_BIASES)
            seen.append(_mix(of_series, dilation, mix)[..., places])
        of_kernels = _convolve(np.concatenate(seen, axis=2), of_dilation)
        biases.append([np.quantile(each, own) for each, own in zip(of_kernels, quantiles, strict=True)])
    return np.array(biases, np.float32)


def _linear(rows: FloatArray, truth: IntArray, classes: int) -> tuple[FloatArray, FloatArray]:
    """Weights `(features, classes)` and intercepts of a logistic regression of `(N, features)`."""
    import torch  # here: predictions outside of the service have none
    from torch.nn import functional

    from timeseries_segmenter.learning.optimisers import LBFGS

    mean, deviation = rows.mean(axis=0), rows.std(axis=0) + 1e-3
    inputs = torch.from_numpy((rows - mean) / deviation)
    counts = np.bincount(truth, minlength=classes)
    shares = np.where(counts > 0, len(truth) / np.maximum(counts, 1) / (counts > 0).sum(), 0)
    of_classes = torch.from_numpy(shares.astype(np.float32))
    weights = torch.zeros(classes, rows.shape[1], requires_grad=True)
    intercepts = torch.zeros(classes, requires_grad=True)
    optimizer = LBFGS([weights, intercepts], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logits = functional.linear(inputs, weights, intercepts)
        value = functional.cross_entropy(logits, torch.from_numpy(truth), of_classes)
        value = value + PENALTY * weights.square().sum()
        torch.autograd.backward(value)
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    scaled = weights.detach().numpy().T / deviation[:, None]
    return scaled.astype(np.float32), (intercepts.detach().numpy() - mean @ scaled).astype(np.float32)
