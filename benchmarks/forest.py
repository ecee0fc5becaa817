"""What something simple reaches: `python -m benchmarks.forest DATA`, a table in Markdown.

DATA holds one folder a data set, as for `benchmarks.quality`. A random forest (Breiman 2001, doi
10.1023/A:1010933404324) classifies each row by its channels and by their statistics in windows around it;
our own decoding makes segments of its probabilities. Means over the seeds, on the split's test tasks, with
one thread.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from tqdm import tqdm

from benchmarks.data_set import MAIN, DataSet, argument_parser, means, print_header, print_row
from timeseries_segmenter.learning.decoding.decoder import Decoding
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.segment_metrics import Matches, instant_matches
from timeseries_segmenter.learning.training.decoding_fit import THRESHOLDS, prepare_instants
from timeseries_segmenter.learning.training.lengths import Lengths
from timeseries_segmenter.learning.training.prepared import Prepared
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.segment import LabelSet, Segment

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

WIDTHS = (1 / 4, 1 / 2, 1)  # of the windows, by the length of a short segment
STATISTICS = ("mean", "std", "min", "max")
MOST_ROWS = 100_000  # that a forest learns from
TREES, LEAST_ROWS_OF_LEAF = 100, 5
COLUMNS = ("data set", "macro F1", MAIN, "corrections per region", "CPU s")


def main() -> None:
    """Print a table, a line a data set."""
    arguments = argument_parser(__doc__).parse_args()
    print_header(COLUMNS)
    for data in DataSet.all_of(arguments.data, arguments.sets):
        runs = [measure(data, seed) for seed in tqdm(arguments.seeds, data.name, leave=False, disable=None)]
        print_row(data.name, means(runs), COLUMNS)


def measure(data: DataSet, seed: int) -> dict[str, float | None]:
    """Metrics of a forest on the test tasks."""
    began = time.process_time()
    forest = ForestSegmenter.fit(data.examples(), data.label_sets, data.pair.channels, seed)
    seconds = time.process_time() - began
    return data.summary(data.metrics(forest)) | {"CPU s": seconds}


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees that classify rows; `widths` are those of the windows in rows, `classes` how many there are."""

    trees: RandomForestClassifier
    widths: tuple[int, ...]
    classes: int

    @classmethod
    def fit(cls, prepared: Prepared, seed: int) -> "Forest":
        """From at most MOST_ROWS rows; those of an unknown class teach nothing."""
        widths = _widths(prepared.lengths)
        targets = np.concatenate(prepared.targets)
        rows = sample_rows(targets, np.random.default_rng(seed))
        starts = np.cumsum([0, *map(len, prepared.targets)])
        of_series = np.split(rows, np.searchsorted(rows, starts[1:-1]))
        features = [
            _features(example.values, widths)[part - start]
            for example, start, part in zip(prepared.examples, starts[:-1], of_series, strict=True)
        ]
        trees = RandomForestClassifier(
            TREES,
            min_samples_leaf=LEAST_ROWS_OF_LEAF,
            class_weight="balanced_subsample",
            n_jobs=1,
            random_state=seed,
        )
        trees.fit(np.concatenate(features), targets[rows])
        return cls(trees, widths, 1 + len(prepared.label_sets))

    def probabilities(self, values: FloatArray) -> FloatArray:
        """Class probabilities `(T, classes)` of a series `(T, C)`, background first."""
        probabilities: FloatArray = np.zeros((len(values), self.classes), np.float32)
        probabilities[:, self.trees.classes_] = self.trees.predict_proba(_features(values, self.widths))
        return probabilities


@dataclass(frozen=True, slots=True)
class ForestSegmenter:
    """A forest, and how its probabilities become segments."""

    forest: Forest
    decoding: Decoding
    label_sets: tuple[LabelSet, ...]

    @classmethod
    def fit(
        cls, examples: Sequence[Example], label_sets: Sequence[LabelSet], channels: Sequence[str], seed: int
    ) -> "ForestSegmenter":
        """Class `i + 1` in the `examples` stands for `label_sets[i]`; their times are not looked at.

        Raises TrainingError if no example holds a labelled row.
        """
        examples = [replace(example, times=None) for example in examples]
        prepared = Prepared.from_examples(examples, label_sets, channels, Recipe())
        decoding = Decoding.fit(
            [example.classes for example in prepared.examples], 1 + len(prepared.label_sets)
        )
        if prepared.lengths.instant_classes:
            decoding = _with_instants(decoding, prepared, seed)
        return cls(Forest.fit(prepared, seed), decoding, prepared.label_sets)

    def segments(self, values: FloatArray, _times: NDArray[np.float64] | None = None) -> list[Segment]:
        """Segments of a series `(T, C)`, by first row."""
        return self.decoding.segments(self.forest.probabilities(values), self.label_sets)


def _with_instants(decoding: Decoding, prepared: Prepared, seed: int) -> Decoding:
    """With the threshold that finds instants best, of several the middle one.

    On every second series by a forest of the others: of its own, a forest is too sure.
    """
    decoding = prepare_instants(decoding, prepared.lengths)
    halves = [range(len(prepared.examples))[start::2] for start in (0, 1)]
    checked = [
        (prepared.examples[place], forest.probabilities(prepared.examples[place].values))
        for half in halves
        for forest in [Forest.fit(prepared.without(half), seed)]
        for place in half
    ]
    f1s = []
    for threshold in THRESHOLDS:
        candidate = replace(decoding, threshold=float(threshold))
        matches = Matches()
        for example, probabilities in checked:
            found = candidate.instants(probabilities)
            matches += instant_matches(
                _instants(example.instants, example.instant_classes, prepared),
                _instants(*found, prepared),
                max(1, prepared.lengths.widening),
            )
        f1s.append(matches.f1)
    best = THRESHOLDS[np.array(f1s) == max(f1s)]
    return replace(decoding, threshold=float(np.median(best)))


def _instants(rows: IntArray, classes: IntArray, prepared: Prepared) -> list[Segment]:
    return [
        Segment(row, row, prepared.label_sets[number - 1], instant=True)
        for row, number in zip(rows.tolist(), classes.tolist(), strict=True)
    ]


def _widths(lengths: Lengths) -> tuple[int, ...]:
    """Odd numbers of rows, so that a window has a middle."""
    return tuple(sorted({max(3, int(lengths.run * share) // 2 * 2 + 1) for share in WIDTHS}))


def _features(values: FloatArray, widths: Sequence[int]) -> FloatArray:
    """What a row is classified by, `(T, F)`, from the channels of its series `(T, C)`.

    The channels as they are, and by the series' own mean and deviation; their differences, and their
    statistics in each window.
    """
    channels = pd.DataFrame(values)
    table = pd.concat([channels, (channels - channels.mean()) / channels.std()], axis=1)
    features = [table, table.diff()]
    for width in widths:
        rolling = table.rolling(width, center=True, min_periods=1)
        features += [getattr(rolling, statistic)() for statistic in STATISTICS]
    return np.concatenate(features, axis=1, dtype=np.float32)


def sample_rows(targets: IntArray, random: np.random.Generator) -> IntArray:
    """Rows of known class, in order: all, or MOST_ROWS of them, of each class the same share."""
    share = MOST_ROWS / max(MOST_ROWS, np.count_nonzero(targets >= 0))
    of_classes = [np.flatnonzero(targets == number) for number in np.unique(targets) if number >= 0]
    return np.sort(
        np.concatenate([random.choice(rows, round(share * len(rows)), replace=False) for rows in of_classes])
    )


if __name__ == "__main__":
    main()
