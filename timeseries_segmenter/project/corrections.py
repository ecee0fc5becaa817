"""What people corrected in predictions that their annotations began as, and how long they took.

Label Studio keeps which prediction an annotation began as. Both are results of the same series, in the same
times, so that they can be compared without reading it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.errors import RegionError, TimeFormatError
from timeseries_segmenter.labeling.annotated_region import belongs_to
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.tag import REGION_TYPE
from timeseries_segmenter.labeling.time.formats import Reading, TimeFormat
from timeseries_segmenter.learning.segment_metrics import Corrections, count_corrections
from timeseries_segmenter.project.card import VersionCorrections
from timeseries_segmenter.project.model import UNTRAINED
from timeseries_segmenter.segment import Segment

FINENESS = 1e9  # steps of a series in which times that are no whole numbers are compared
WITHOUT = ""  # in place of a version: annotations that began as nothing, or by no model

Result = Mapping[str, Any]


class CorrectedAnnotation(NamedTuple):
    """An annotation, the version whose prediction it began as, the seconds that it took if Label Studio says
    so, and what was corrected. `created_at` is Label Studio's text.
    """

    created_at: str
    version: str
    seconds: float | None
    corrections: Corrections


def corrected_annotations(
    task: Mapping[str, Any], pairs: Sequence[LabelPair]
) -> Iterator[CorrectedAnnotation]:
    """Those of a task, which holds its `annotations` and the `predictions` that these began as.

    Skipped annotations and those of predictions that are gone do not count.
    """
    for version, annotation, predicted in _begun(task):
        corrections = Corrections()
        if version != WITHOUT:
            for pair in pairs:
                corrections += count_changes(annotation.get("result"), predicted, pair)
        created_at = str(annotation.get("created_at"))
        yield CorrectedAnnotation(created_at, version, _seconds(annotation), corrections)


def count_by_version(corrected: Iterable[CorrectedAnnotation]) -> list[VersionCorrections]:
    """One for each version whose predictions annotations began as, in the order of their first annotations,
    and one for those that began as none.
    """
    begun: dict[str, list[CorrectedAnnotation]] = {}
    for each in sorted(corrected, key=attrgetter("created_at")):
        begun.setdefault(each.version, []).append(each)
    return [_in_all(version, each) for version, each in begun.items()]


def count_changes(annotated: object, predicted: object, pair: LabelPair) -> Corrections:
    """What a person changed of the regions of one pair, results of an annotation and a prediction.

    An instant that was moved at all was corrected; the end of a range if by more than a tenth of it. Where a
    time can't be read, nothing is counted.
    """
    of_person, of_model = _regions(annotated, pair), _regions(predicted, pair)
    times = [time for region in (*of_person, *of_model) for time in (region["start"], region["end"])]
    rows = _as_rows(_stamps(times, pair.time_format or pair.row_format))
    if rows is None:
        return Corrections()
    ends = iter(rows.reshape(-1, 2).tolist())
    true, found = (
        [_segment(region, next(ends), pair) for region in regions] for regions in (of_person, of_model)
    )
    return count_corrections(true, found, tolerance=0)


def _begun(task: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], object]]:
    """Each annotation that counts, with the version and the result that it began as."""
    predictions = {each["id"]: each for each in task.get("predictions") or ()}
    for annotation in task.get("annotations") or ():
        if annotation.get("was_cancelled") or annotation.get("parent_annotation"):
            continue
        if (parent := annotation.get("parent_prediction")) is None:
            yield WITHOUT, annotation, None
        elif parent in predictions:
            prediction = predictions[parent]
            version = str(prediction.get("model_version") or "?")
            # without a model there is nothing to correct
            yield WITHOUT if version == UNTRAINED else version, annotation, prediction.get("result")


def _regions(results: object, pair: LabelPair) -> list[Mapping[str, Any]]:
    """The values of the results that are regions of the pair."""
    regions = []
    for result in results if isinstance(results, list) else ():
        try:
            value = result.get("value") if belongs_to(result, pair) else None
        except RegionError:
            continue
        if isinstance(value, Mapping) and {"start", "end", REGION_TYPE} <= value.keys():
            regions.append(value)
    return regions


def _stamps(times: Sequence[object], time_format: str | None) -> NDArray[np.float64]:
    """Times in the unit of the series, NaN where they mean none, `(T,)`."""
    stamps = np.array([_number(time) for time in times], np.float64)
    texts = [place for place, time in enumerate(times) if isinstance(time, str)]
    if texts and time_format:
        try:
            form = TimeFormat(time_format)
        except TimeFormatError:
            return stamps
        read, fits = form.try_parse([str(times[place]) for place in texts], Reading.REGION)
        stamps[texts] = np.where(fits, read, stamps[texts])
    return stamps


def _number(time: object) -> float:
    try:
        return float(time) if isinstance(time, str | int | float) else np.nan
    except (ValueError, OverflowError):
        return np.nan


def _as_rows(stamps: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Stamps on a grid so fine that differences keep their proportions; None if some mean no time."""
    if not np.isfinite(stamps).all():
        return None
    if not len(stamps):
        return np.zeros(0, np.int64)
    low, span = stamps.min(), float(np.ptp(stamps))
    rows: NDArray[np.int64] = np.round((stamps - low) * (FINENESS / span if span else 1.0)).astype(np.int64)
    return rows


def _segment(region: Mapping[str, Any], ends: Sequence[int], pair: LabelPair) -> Segment:
    names = region[REGION_TYPE] if isinstance(region[REGION_TYPE], list) else []
    labels = pair.label_set(names) or tuple(map(str, names))
    return Segment(min(ends), max(ends), labels, instant=min(ends) == max(ends))


def _seconds(annotation: Mapping[str, Any]) -> float | None:
    seconds = annotation.get("lead_time")
    return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None


def _in_all(version: str, annotations: Sequence[CorrectedAnnotation]) -> VersionCorrections:
    counted = sum((each.corrections for each in annotations), Corrections())
    seconds = [each.seconds for each in annotations if each.seconds is not None]
    return VersionCorrections(
        version=version,
        annotations=len(annotations),
        regions=counted.true,
        labels=counted.labels,
        added=counted.added,
        removed=counted.removed,
        ends=counted.ends,
        seconds=median(seconds) if seconds else None,
    )
