"""What several annotations of one task say together, and how far they agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.labeling.targets import AnnotatedSegments, class_indices
from timeseries_segmenter.learning.runs import runs_of
from timeseries_segmenter.learning.segment_metrics import Matches, instant_matches, match_instants
from timeseries_segmenter.project.evaluation import TOLERANCE
from timeseries_segmenter.segment import UNKNOWN, LabelSet, Segment

IntArray = NDArray[np.int64]

LEAST_OF_REGION = 1 / 2  # of the shorter region: two that overlap by less mean different things


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the annotations of a task agree.

    By label set there are, of its ranges, the rows that all annotations have and those that any has, and, of
    its instants, the matches of each two annotations.
    """

    annotations: int
    rows: Mapping[LabelSet, tuple[int, int]] = field(default_factory=dict)
    instants: Mapping[LabelSet, Matches] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """From 0 to 1, over all labels: that of the rows, or of the instants (F1) if there are no ranges."""
        of_any = sum(any_has for _, any_has in self.rows.values())
        if of_any:
            return sum(all_have for all_have, _ in self.rows.values()) / of_any
        return sum(self.instants.values(), Matches()).f1


def agree(annotated: Sequence[AnnotatedSegments], length: int) -> tuple[AnnotatedSegments, Agreement]:
    """What the annotations of a series say together, the newest one first, and their agreement.

    A row is known if all annotations that know it say the same. Instants are the same if they are at most
    TOLERANCE rows apart; their row is the mean.
    """
    label_sets = list(dict.fromkeys(each.labels for one in annotated for each in one.segments))
    rows = np.stack([row_classes(each, label_sets, length) for each in annotated])
    agreed = _agreed_rows(rows)
    ranges = _agreed_ranges(agreed, rows, annotated[0], label_sets)
    instants, disputed = _agreed_instants(annotated)
    compared = (rows != UNKNOWN).sum(axis=0) > 1
    agreement = Agreement(
        len(annotated),
        {
            labels: (int(((agreed == number) & compared).sum()), of_any)
            for number, labels in enumerate(label_sets, 1)
            if (of_any := int(((rows == number).any(axis=0) & compared).sum()))
        },
        _instant_agreement(annotated, label_sets),
    )
    for row in disputed:
        agreed[max(0, row - TOLERANCE) : row + TOLERANCE + 1] = UNKNOWN
    for segment in instants:
        agreed[segment.first] = max(agreed[segment.first], 0)
    segments = sorted([*ranges, *instants], key=lambda segment: (segment.first, segment.last))
    remarks = [remark for each in annotated for remark in each.remarks]
    return AnnotatedSegments(segments, remarks, [], agreed != UNKNOWN), agreement


def row_classes(annotated: AnnotatedSegments, label_sets: Sequence[LabelSet], length: int) -> IntArray:
    """The class of each row, `(length,)`, by the ranges: `i + 1` is `label_sets[i]`; UNKNOWN if not known."""
    ranges = [segment for segment in annotated.segments if not segment.instant]
    classes = class_indices([*ranges, *annotated.background], label_sets, length)
    return np.where(annotated.known, classes, UNKNOWN)


def _agreed_rows(rows: IntArray) -> IntArray:
    """The class, `(T,)`, on which all of `(annotations, T)` that know it agree, UNKNOWN if they don't.

    Stretches of a label that are but a small part of everybody's region are UNKNOWN, too.
    """
    most = rows.max(axis=0)
    least = np.where(rows == UNKNOWN, most, rows).min(axis=0)
    agreed = np.where(least == most, most, UNKNOWN)
    lengths = [
        np.repeat([end - start for _, start, end in runs], [end - start for _, start, end in runs])
        for runs in map(runs_of, rows)
    ]
    shortest = np.where(rows == agreed, np.stack(lengths), rows.shape[1]).min(axis=0)
    for number, start, end in runs_of(agreed):
        if number > 0 and end - start < LEAST_OF_REGION * shortest[start]:
            agreed[start:end] = UNKNOWN
    return agreed


def _agreed_ranges(
    agreed: IntArray, rows: IntArray, newest: AnnotatedSegments, label_sets: Sequence[LabelSet]
) -> list[Segment]:
    """The runs of agreed labels; each has the id of the newest annotation's region there, if there is one."""
    regions = np.full(len(agreed), None, object)
    for segment in sorted(newest.segments, key=len, reverse=True):
        regions[segment.first : segment.last + 1] = segment.region
    return [
        Segment(
            start,
            end - 1,
            label_sets[number - 1],
            region=regions[start] if rows[0, start] == number else None,
        )
        for number, start, end in runs_of(agreed)
        if number > 0
    ]


def _agreed_instants(annotated: Sequence[AnnotatedSegments]) -> tuple[list[Segment], list[int]]:
    """The instants on which all agree that know their row, and the rows of the others."""
    events: list[dict[int, Segment]] = []  # by the annotation's number
    for number, one in enumerate(annotated):
        instants = [segment for segment in one.segments if segment.instant]
        matched = match_instants([next(iter(each.values())) for each in events], instants, TOLERANCE)
        for i, j in matched.items():
            events[i][number] = instants[j]
        new = set(range(len(instants))) - set(matched.values())
        events += [{number: instants[j]} for j in sorted(new)]
    agreed, disputed = [], []
    for event in events:
        rows = [segment.first for segment in event.values()]
        missed = any(one.known[rows[0]] for number, one in enumerate(annotated) if number not in event)
        if missed or len({segment.labels for segment in event.values()}) > 1:
            disputed += rows
        else:
            row, (number, segment) = round(np.mean(rows)), next(iter(event.items()))
            region = None if number else segment.region
            agreed.append(replace(segment, first=row, last=row, region=region))
    return agreed, disputed


def _instant_agreement(
    annotated: Sequence[AnnotatedSegments], label_sets: Sequence[LabelSet]
) -> dict[LabelSet, Matches]:
    """The matches of each two annotations, by label set."""
    found = {}
    for labels in label_sets:
        instants = [
            [segment for segment in one.segments if segment.instant and segment.labels == labels]
            for one in annotated
        ]
        if any(instants):
            pairs = (instant_matches(one, other, TOLERANCE) for one, other in combinations(instants, 2))
            found[labels] = sum(pairs, Matches())
    return found
