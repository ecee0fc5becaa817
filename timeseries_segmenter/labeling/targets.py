"""Annotations as what the network learns: one class index per row."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.errors import RegionError, SeriesError, TrainingError
from timeseries_segmenter.labeling.annotated_region import (
    belongs_to,
    place,
    region_name,
)
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.pair_settings import Unlabeled
from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.labeling.tables.cells import shown
from timeseries_segmenter.segment import LabelSet, Segment, class_by_row, label_set_name

MOST_REGIONS = 200_000  # of one annotation: two days of heartbeats
MOST_LABEL_SETS = 1000  # that one network learns: each is a column of its output, as long as the series
MOST_GAP = 2  # rows between two regions that somebody meant to touch
GAP_SHARE = 1 / 8  # of the shorter of the two, at most
MOST_NAMED = 3  # further regions in one sentence
MOST_SENTENCES = 5  # about one annotation


@dataclass(frozen=True, slots=True)
class AnnotatedSegments:
    """The regions of an annotation as segments, and what had to be guessed about them, a sentence each.

    `background` are those that say that nothing is there, without labels. `known` is `(T,)`, of the rows that
    the annotation says something about: see `known_rows`.
    """

    segments: list[Segment]
    remarks: list[str]
    background: list[Segment]
    known: NDArray[np.bool_]

    def stretch(self, first: int, last: int) -> "AnnotatedSegments":
        """What is annotated on these rows; regions that reach out of them are cut."""
        segments, background = (
            [part for each in of_series if (part := each.within(first, last))]
            for of_series in (self.segments, self.background)
        )
        return AnnotatedSegments(segments, self.remarks, background, self.known[first : last + 1].copy())


def choose_annotations(annotations: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """The annotations of a task that count, the newest first.

    Skipped ones never do. The newest ground truth counts alone, otherwise the newest annotation of each
    person; those that don't say by whom they are count as one person's.
    """
    submitted = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
    newest_first = sorted(submitted, key=_age, reverse=True)
    truths = [annotation for annotation in newest_first if annotation.get("ground_truth")]
    by_person: dict[str, Mapping[str, object]] = {}
    for annotation in truths[:1] or newest_first:
        by_person.setdefault(_person(annotation), annotation)
    return list(by_person.values())


def changed_at(annotation: Mapping[str, object]) -> float:
    """When an annotation was last changed, in seconds since 1970; before all times if it doesn't say."""
    return max(_seconds(annotation.get("updated_at")), _seconds(annotation.get("created_at")))


def annotation_segments(annotation: Mapping[str, object], pair: LabelPair, series: Series) -> list[Segment]:
    """The segments of `read_annotation`. Raises RegionError and SeriesError, as it does."""
    return read_annotation(annotation, pair, series).segments


def read_annotation(annotation: Mapping[str, object], pair: LabelPair, series: Series) -> AnnotatedSegments:
    """The annotated regions as segments, by their first row.

    Passed over are results that are not regions on a time series (relations, other controls, what is
    said about a region), and regions of other pairs of tags in the labeling config.
    Labels that mean background are taken off.

    Raises:
        RegionError: regions can't be placed in the series, or are of labels or tags that the labeling
            config does not have. Their rows would pass for background: don't learn from the annotation.
        SeriesError: the annotation holds no list of results, or too many.

    """
    results = annotation.get("result")
    if not isinstance(results, list):
        raise SeriesError(
            f"annotation {annotation.get('id')} has {'null' if results is None else shown(results)} in place "
            "of a list of results; export the project as JSON, with its annotations"
        )
    if len(results) > MOST_REGIONS:
        raise SeriesError(
            f"annotation {annotation.get('id')} has {len(results)} results, and at most {MOST_REGIONS} are "
            "read; split the series into several tasks"
        )
    series = replace(series, time=series.time.having_read(_texts(results, pair)))
    segments: list[Segment] = []
    background: list[Segment] = []
    named: dict[int, object] = {}  # results by their segments
    remarks: dict[str, list[str]] = {}
    problems: dict[str, list[str]] = {}
    for result in results:
        try:
            if not belongs_to(result, pair):
                continue
            segment, remark = place(result, pair, series)
        except RegionError as error:
            problems.setdefault(str(error), []).append(region_name(result))
            continue
        if pair.background:
            left = tuple(label for label in segment.labels if label not in pair.background)
            segment = replace(segment, labels=left)
        (segments if segment.labels else background).append(segment)
        named[id(segment)] = result
        if remark:
            remarks.setdefault(remark, []).append(region_name(result))
    if problems:
        raise RegionError("; ".join(_sentences(problems)))
    ordered = sorted(segments, key=lambda segment: (segment.first, segment.last))
    for region, others in _covered([*ordered, *background], len(series)):
        remark = (
            f"teaches nothing, since {others} has all of its rows (of regions that overlap, the shorter has "
            'them); give one region both labels, with choice="multiple" in the labeling config, or use a '
            "TimeSeriesLabels for each"
        )
        remarks.setdefault(remark, []).append(region_name(named[id(region)]))
    known = known_rows([*ordered, *background], len(series), pair.settings.unlabeled)
    return AnnotatedSegments(ordered, list(_sentences(remarks)), background, known)


def _covered(regions: Sequence[Segment], length: int) -> Iterator[tuple[Segment, str]]:
    """The ranges without a row of their own, since others have them all, and by which labels."""
    ranges = sorted((region for region in regions if not region.instant), key=lambda region: region.first)
    ends = itertools.accumulate((region.last for region in ranges), max)
    if all(after.first > end for end, after in zip(ends, ranges[1:], strict=False)):
        return
    numbers = {id(region): number for number, region in enumerate(ranges, start=1)}
    owners = class_by_row(ranges, lambda region: numbers[id(region)], length)
    seen = set(np.unique(owners).tolist())
    for region in ranges:
        if numbers[id(region)] in seen:
            continue
        rows = owners[region.first : region.last + 1]
        labels = {ranges[number - 1].labels for number in np.unique(rows).tolist()}
        if labels != {region.labels}:
            names = sorted(f'"{label_set_name(each)}"' if each else "background" for each in labels)
            yield region, " and ".join(names)


def known_rows(regions: Sequence[Segment], length: int, unlabeled: Unlabeled) -> NDArray[np.bool_]:
    """Rows of a series, `(length,)`, that say something by their region or, mostly, by having none.

    A gap of a row or two between regions with different labels is none that anybody meant.
    """
    covered = np.zeros(length, np.bool_)
    for region in regions:
        covered[region.first : region.last + 1] = True
    if unlabeled == "ignore":
        return covered
    known = np.ones(length, np.bool_)
    if unlabeled == "span":
        labelled = np.flatnonzero(covered)
        known[: labelled[0] if len(labelled) else length] = False
        known[labelled[-1] + 1 if len(labelled) else 0 :] = False
    ranges = sorted((region for region in regions if not region.instant), key=lambda region: region.first)
    for before, after in itertools.pairwise(ranges):
        most = min(MOST_GAP, GAP_SHARE * min(len(before), len(after)))
        if before.labels != after.labels and after.first - before.last - 1 <= most:
            known[before.last + 1 : after.first] &= covered[before.last + 1 : after.first]
    return known


def annotated_label_sets(segments: Iterable[Segment], labels: Sequence[str]) -> tuple[LabelSet, ...]:
    """The label sets that there are to learn: each label by itself, and each annotated combination.

    A label that was annotated in combinations only has no set of its own. A class per combination is
    the label powerset of Tsoumakas and Katakis (2007, doi 10.4018/jdwm.2007070101).

    Raises:
        TrainingError: there are more than MOST_LABEL_SETS.

    """
    annotated = {segment.labels for segment in segments}
    combinations = [each for each in annotated if len(each) > 1]
    combined = {label for each in combinations for label in each}
    alone = [(label,) for label in labels if (label,) in annotated or label not in combined]
    if len(alone) + len(combinations) > MOST_LABEL_SETS:
        raise TrainingError(
            f"there are {len(alone) + len(combinations)} labels and combinations of labels, and at most "
            f"{MOST_LABEL_SETS} are learned; use fewer"
        )
    return (*alone, *sorted(combinations, key=lambda each: [labels.index(label) for label in each]))


def class_indices(
    segments: Sequence[Segment], label_sets: Sequence[LabelSet], length: int
) -> NDArray[np.int64]:
    """The class of each row, `(length,)` int64: 0 for background, i + 1 for `label_sets[i]`.

    A segment without labels is background. Overlaps are resolved as in `class_by_row`; segments of other
    label sets leave their rows alone.
    """
    numbers: dict[LabelSet, int] = {(): 0}
    numbers |= {labels: number for number, labels in enumerate(label_sets, start=1)}
    known = (segment for segment in segments if segment.labels in numbers)
    return class_by_row(known, lambda segment: numbers[segment.labels], length)


def _texts(results: Iterable[object], pair: LabelPair) -> Iterator[str]:
    """The starts and ends of the pair's regions that are text."""
    for result in results:
        if isinstance(result, Mapping) and result.get("to_name") == pair.to_name:
            value = result.get("value")
            if isinstance(value, Mapping):
                yield from (time for time in map(value.get, ("start", "end")) if isinstance(time, str))


def _sentences(regions: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What there is to say about regions, each once, with the first few regions that it goes for."""
    for said, (first, *others) in itertools.islice(regions.items(), MOST_SENTENCES):
        listed = ", ".join(f"{other[0].lower()}{other[1:]}" for other in others[:MOST_NAMED])
        more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
        yield f"{first} {said}" + (f" (the same goes for {listed}{more})" if others else "")
    if len(regions) > MOST_SENTENCES:
        yield f"and {len(regions) - MOST_SENTENCES} more such sentences about other regions"


def _person(annotation: Mapping[str, object]) -> str:
    """Who made an annotation: a number, or what an export says of a person; empty if it doesn't say."""
    person = annotation.get("completed_by")
    if isinstance(person, Mapping):
        person = person.get("id", person.get("email"))
    return "" if person is None else str(person)


def _age(annotation: Mapping[str, object]) -> tuple[float, float, int]:
    number = annotation.get("id")
    return (
        _seconds(annotation.get("updated_at")),
        _seconds(annotation.get("created_at")),
        number if isinstance(number, int) else 0,
    )


def _seconds(time: object) -> float:
    """A time of Label Studio's API since 1970, or of an old export; before all others if it is not one."""
    if isinstance(time, int | float) and not isinstance(time, bool):
        return float(time)
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            return -np.inf
    if not isinstance(time, datetime):
        return -np.inf
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
