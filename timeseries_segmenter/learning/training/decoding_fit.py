"""The third act of training: a network to a segmenter, and how good it is on its own training series."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding.decoder import Decoding
from timeseries_segmenter.learning.decoding.landmark import find_landmark
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.metrics import confusion_matrix
from timeseries_segmenter.learning.opinions.network import Network
from timeseries_segmenter.learning.opinions.pool import Pool
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.lengths import Lengths
from timeseries_segmenter.learning.training.prepared import Prepared
from timeseries_segmenter.segment import UNKNOWN

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

SMOOTHING_SHARE = 1 / 4  # of an instant's widening
THRESHOLDS = np.linspace(0.1, 0.9, 17)  # of an instant's probability


def fit_decoding(
    network: Network, prepared: Prepared, probabilities: Sequence[FloatArray] | None = None
) -> Segmenter:
    """The model of a network that was optimised on `prepared`.

    `probabilities` are what the network says about the prepared examples; if not given, they are computed
    where they are needed, for instants.
    """
    ranges = [example.classes for example in prepared.examples]
    decoding = Decoding.fit(ranges, prepared.dimensions.classes)
    if prepared.remembered:
        decoding = _with_all_prices(decoding)
    if prepared.lengths.instant_classes:
        decoding = _with_instants(decoding, prepared, probabilities or prepared.probabilities(network))
    forest, convolutions = prepared.grow_forest(), prepared.fit_convolutions()
    return Segmenter(
        network,
        prepared.inputs.standardisation,
        decoding,
        prepared.window,
        prepared.label_sets,
        prepared.channels,
        sampling=prepared.sampling,
        rolling=prepared.inputs.rolling,
        forest=forest,
        convolutions=convolutions,
        pool=Pool.equal(forest is not None),  # held-out predictions have to speak for convolutions
    )


def _with_all_prices(decoding: Decoding) -> Decoding:
    """With the usual price for classes that are remembered, and have no range in the examples."""
    usual = float(np.median([price for price in decoding.prices if price] or [0.0]))
    return replace(decoding, prices=tuple(price or usual for price in decoding.prices))


def confuse(decoding: Decoding, prepared: Prepared, probabilities: Sequence[FloatArray]) -> IntArray:
    """The confusion matrix of all rows, by the decoded `probabilities` of the prepared examples.

    Annotated and predicted instants are widened alike.
    """
    classes = prepared.dimensions.classes
    confusion = np.zeros((classes, classes), np.int64)
    for example, targets, each in zip(prepared.examples, prepared.targets, probabilities, strict=True):
        found = Example(example.values, decoding.ranges(each), *decoding.instants(each, example.values))
        confusion += confusion_matrix(targets, prepared.lengths.targets(found), classes)
    return confusion


def prepare_instants(decoding: Decoding, lengths: Lengths) -> Decoding:
    """The decoding with the classes of instants and what their distances say, but no threshold yet."""
    return replace(
        decoding,
        instant_classes=lengths.instant_classes,
        gap=lengths.gap,
        smoothing=lengths.widening * SMOOTHING_SHARE,
    )


def _with_instants(decoding: Decoding, prepared: Prepared, probabilities: Sequence[FloatArray]) -> Decoding:
    """With the threshold that finds the series' own instants best (F1), of several the middle one.

    What is found on UNKNOWN rows is neither right nor wrong.
    """
    lengths = prepared.lengths
    decoding = prepare_instants(decoding, lengths)
    of_instants = [decoding.instant_probabilities(each) for each in probabilities]
    f1s = []
    for threshold in THRESHOLDS:
        candidate = replace(decoding, threshold=float(threshold))
        hits = found = true = 0
        for each, example, targets in zip(of_instants, prepared.examples, prepared.targets, strict=True):
            peaks = candidate.peaks(each)
            peaks = peaks[targets[peaks] != UNKNOWN]
            found += len(peaks)
            true += len(example.instants)
            if len(peaks):
                distances = np.abs(_nearest(peaks, example.instants) - example.instants)
                hits += int((distances <= max(1, lengths.widening)).sum())
        f1s.append(2 * hits / max(1, found + true))
    best = THRESHOLDS[np.array(f1s) == max(f1s)]
    decoding = replace(decoding, threshold=float(np.median(best)))
    matched = [
        (example.values, *_peaks_of_instants(decoding, each, example))
        for each, example in zip(of_instants, prepared.examples, strict=True)
    ]
    errors = [peaks - rows for _, peaks, rows in matched if len(rows)]
    # people mark an event at its start, say, where a peak is in the middle of what is special about it
    offset = round(float(np.median(np.concatenate(errors)))) if errors else 0
    landmark = find_landmark(matched, lengths.widening, lengths.gap // 2)
    return replace(decoding, offset=offset, landmark=landmark)


def _peaks_of_instants(
    decoding: Decoding, of_instants: FloatArray, example: Example
) -> tuple[IntArray, IntArray]:
    """The nearest peak of each annotated instant that was found, and these instants."""
    peaks, instants = decoding.peaks(of_instants), example.instants
    if not len(peaks):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    nearest = _nearest(peaks, instants)
    found = np.abs(nearest - instants) < decoding.gap
    return nearest[found], instants[found]


def _nearest(peaks: IntArray, instants: IntArray) -> IntArray:
    """The peak nearest to each instant, the earlier of two; `peaks` are sorted, and not empty."""
    after = np.searchsorted(peaks, instants)
    before = peaks[np.maximum(after - 1, 0)]
    after = peaks[np.minimum(after, len(peaks) - 1)]
    return np.where(np.abs(instants - before) <= np.abs(after - instants), before, after)
