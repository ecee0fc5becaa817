"""The training report's data: what is saved with a model, and shown as a page.

Metrics are rounded, and series thinned out to what a picture shows, so that it stays small.
"""

import json
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from timeseries_segmenter.labeling.time.axis import Time
from timeseries_segmenter.project.card import (
    Card,
    Metrics,
    PairCard,
    Part,
    RecipeSearch,
    Rounded,
    VersionCorrections,
)
from timeseries_segmenter.project.task import TaskId

LEVELS = 1000  # steps between the lowest and the highest value of a channel in a picture
POSITIONS = 10_000  # steps between the first and the last time of a picture


class CurvePoint(Part):
    """One epoch, on the training windows."""

    epoch: int
    loss: Rounded
    balanced_accuracy: Rounded
    min_f1: Rounded


class SampleChannel(Part):
    """Lowest and highest value of each stretch in turn, in LEVELS steps from `low` to `high`."""

    name: str
    low: float
    high: float
    levels: list[int | None]


class SampleRegion(Part):
    """A segment in a picture: its class, and its start and end in POSITIONS steps."""

    number: int
    start: int
    end: int
    instant: bool = False


class Sample(Part):
    """A series, or a stretch of one, with its annotated and predicted segments.

    `positions` are those of the stretches' beginnings and of the end, `(B + 1,)`, from time `start` to
    `stop`: numbers, or milliseconds since 1970 where `dates`. `f1` is the task's `Metrics.mean_f1`.
    `unknown` are start and end of stretches that teach nothing, in POSITIONS steps.
    """

    task: TaskId
    why: str
    held_out: bool
    f1: Rounded
    rows: int
    first: int
    last: int
    start: float
    stop: float
    dates: bool
    time_name: str
    positions: list[int]
    channels: list[SampleChannel]
    more_channels: int = 0
    drawn: list[SampleRegion]
    predicted: list[SampleRegion]
    unknown: list[tuple[int, int]] = Field(default_factory=list)


class Few(Part):
    """A label with too few regions, or in too few tasks, to be learned well."""

    name: str
    regions: int
    tasks: int


class Disagreement(Part):
    """A stretch where the model is sure of something other than the annotation.

    `drawn` is empty if a region may be missing, `predicted` if one may be too much. `start` and
    `end` stand as Label Studio writes them. `annotation` and `region` are ids in Label Studio.
    """

    task: TaskId
    start: Time
    end: Time
    drawn: list[str]
    predicted: list[str]
    confidence: Rounded
    annotation: int | None = None
    region: str | None = None


class LabelAgreement(Part):
    """How far several people's annotations agree on a label, from 0 to 1; None if it is not annotated so.

    `rows`: of the rows of ranges that anybody annotated with it, the share that all did. `instants`: the mean
    F1 of two people's instants.
    """

    name: str
    rows: Rounded | None
    instants: Rounded | None

    @property
    def lowest(self) -> float:
        """The lower one of both."""
        return min(share for share in (self.rows, self.instants) if share is not None)


class TaskAgreement(Part):
    """How far the annotations of one task agree, from 0 to 1 over all labels."""

    task: TaskId
    annotations: int
    share: Rounded


class Agreement(Part):
    """Of the `tasks` that several people annotated: agreement by label and by task, the lowest first."""

    tasks: int
    labels: list[LabelAgreement]
    lowest: list[TaskAgreement]


class Unlabelled(Part):
    """A task that nobody annotated, and how sure the model is of it, from 0 to 1."""

    task: TaskId
    score: Rounded


class WorthAnnotating(Part):
    """A stretch of a task's `series`, its `TimeSeries`, from `start` to `end` as Label Studio writes them."""

    task: TaskId
    series: str
    start: int | float | str
    end: int | float | str


class PairReport(Part):
    """What was learned for one pair of `TimeSeriesLabels` and `TimeSeries`.

    `class_names` are those of the network, background first. `held_out` are the metrics on each task by
    a network that never saw it; None if there is one task only. `search` is the one that found the recipe.
    `agreement` is None if no task has several annotations that count.
    `sampling`, `weights` and `adapts` as in the card.
    """

    name: str
    class_names: list[str]
    channels: list[str]
    epochs: int
    continued: bool
    thresholds_met: bool
    curve: list[CurvePoint]
    training: Metrics
    held_out: Metrics | None
    samples: list[Sample]
    unlearned: list[str]
    few: list[Few]
    disagreements: list[Disagreement]
    search: RecipeSearch | None = None
    agreement: Agreement | None = None
    sampling: str = ""
    weights: dict[str, Rounded] = Field(default_factory=dict)
    adapts: bool = False


class PastMetrics(Part):
    """Held-out metrics of one pair in an earlier version."""

    tasks: int
    macro_f1: Rounded
    f1: dict[str, Rounded | None]
    segment_f1: dict[str, Rounded | None]
    point_f1: Rounded | None
    calibration_error: Rounded | None = None

    @classmethod
    def from_metrics(cls, metrics: Metrics) -> "PastMetrics":
        """Those that a comparison needs; `macro_f1` is of instants if there are no ranges."""
        return cls(
            tasks=metrics.tasks,
            macro_f1=metrics.mean_f1,
            f1={each.name: each.f1 for each in metrics.classes},
            segment_f1=metrics.segment_f1,
            point_f1=metrics.point_f1,
            calibration_error=metrics.calibration_error,
        )


class Previous(Part):
    """The version before, and its held-out metrics by pair."""

    version: str
    created_at: str
    pairs: dict[str, PastMetrics]

    @classmethod
    def from_card(cls, card: Card) -> "Previous":
        """Of pairs whose metrics were measured in full."""
        return cls(
            version=card.version,
            created_at=_text(card),
            pairs={
                name: PastMetrics.from_metrics(pair.held_out)
                for name, pair in card.pairs.items()
                if pair.held_out and pair.held_out.tasks
            },
        )


class Report(Part):
    """All that a version's page shows.

    `learned_from` is empty if the version learned from all annotated tasks. `seconds` are by step. `skipped`
    are sentences that name a task that was left out, `remarks` those on what was guessed of others, and
    `next` the tasks to annotate next, `stretches` the parts of long series. `corrected` as in the card.
    """

    created_at: str
    project: int | None
    title: str
    tasks: list[TaskId]
    learned_from: str = ""
    skipped: list[str]
    seconds: dict[str, float]
    pairs: list[PairReport]
    remarks: list[str] = Field(default_factory=list)
    next: list[Unlabelled] = Field(default_factory=list)
    stretches: list[WorthAnnotating] = Field(default_factory=list)
    corrected: list[VersionCorrections] = Field(default_factory=list)
    start: str = ""
    previous: Previous | None = None

    @classmethod
    def from_card(
        cls,
        card: Card,
        pairs: Sequence[PairReport],
        unlabelled: Sequence[Unlabelled] = (),
        before: Card | None = None,
        stretches: Sequence[WorthAnnotating] = (),
    ) -> "Report":
        """Of a version with that card; `before` is that of the version before."""
        return cls(
            **_of_card(card),
            pairs=list(pairs),
            next=list(unlabelled),
            stretches=list(stretches),
            previous=Previous.from_card(before) if before else None,
        )

    def beside_card(self) -> str:
        """As JSON, without what the model's card holds."""
        return self.model_dump_json(
            exclude={**dict.fromkeys([*_OF_CARD, "learned_from"], True), "pairs": {"__all__": _OF_PAIR}}
        )

    @classmethod
    def from_saved(cls, text: str, card: Card) -> "Report":
        """The whole of what `beside_card` left; reports of former formats are whole in themselves.

        Raises ValueError, LookupError, TypeError for what is not a report of this release.
        """
        saved = json.loads(text)
        pairs = [
            card.pairs.get(pair["name"], PairCard()).model_dump(include=_OF_PAIR) | pair
            for pair in saved["pairs"]
        ]
        return cls.model_validate(_of_card(card) | saved | {"pairs": pairs})


_OF_CARD = Report.model_fields.keys() & Card.model_fields.keys() - {"pairs"}
_OF_PAIR = PairReport.model_fields.keys() & PairCard.model_fields.keys()


def _of_card(card: Card) -> dict[str, Any]:
    return card.model_dump(include=_OF_CARD) | {
        "created_at": _text(card),
        "learned_from": card.learned_from,
    }


def _text(card: Card) -> str:
    return card.created_at.isoformat() if card.created_at else ""
