"""The training report's data: what is saved with a model, and shown as a page.

Figures are rounded, and series thinned out to what a picture shows, so that it stays small.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

from timeseries_segmenter.labeling.time.axis import Time
from timeseries_segmenter.project.task import TaskId

DIGITS = 4  # of figures
LEVELS = 1000  # steps between the lowest and the highest value of a channel in a picture
POSITIONS = 10_000  # steps between the first and the last time of a picture

Rounded = Annotated[float, AfterValidator(lambda figure: round(figure, DIGITS))]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class ClassFigures(_Part):
    """How one class is found: rows of ranges, or instants within the tolerance.

    `precision`, `recall` and `f1` are None where there is nothing to divide by. `support` are the
    drawn rows, or instants. `segments`, `predicted` and `segment_f1` count drawn and predicted
    segments, and those that overlap by half; background has none.
    """

    name: str
    kind: Literal["background", "range", "instant"]
    precision: Rounded | None
    recall: Rounded | None
    f1: Rounded | None
    support: int
    segments: int = 0
    predicted: int = 0
    segment_f1: Rounded | None = None


class Confusion(_Part):
    """Counts of rows, or of instants: drawn class down, predicted class across."""

    unit: Literal["rows", "instants"]
    names: list[str]
    counts: list[list[int]]


class ReliabilityBin(_Part):
    """Rows predicted with about the same probability, and the share of them that was right."""

    confidence: Rounded
    accuracy: Rounded
    count: int


class Figures(_Part):
    """How well predictions agree with the drawn regions of `tasks` series; None: does not apply.

    `segment_f1` is by overlap in percent, `point_f1` within `tolerance` rows. The calibration is that
    of the predicted class of each row.
    """

    tasks: int
    rows: int
    accuracy: Rounded
    balanced_accuracy: Rounded
    macro_f1: Rounded
    min_f1: Rounded
    segment_f1: dict[str, Rounded | None]
    point_f1: Rounded | None
    tolerance: int
    true_segments: int
    predicted_segments: int
    classes: list[ClassFigures]
    confusions: list[Confusion] = []
    calibration_error: Rounded | None = None
    reliability: list[ReliabilityBin] = []

    @property
    def of_instants(self) -> bool:
        """Whether there are instants alone, for which rows and overlaps tell little."""
        kinds = {each.kind for each in self.classes if each.support}
        return "instant" in kinds and "range" not in kinds

    @property
    def mean_f1(self) -> float:
        """Mean F1 of the classes: of their rows with background, or of instants within the tolerance."""
        if not self.of_instants:
            return self.macro_f1
        found = [each.f1 or 0.0 for each in self.classes if each.kind == "instant" and each.support]
        return sum(found) / len(found)

    @property
    def found(self) -> float | None:
        """How much of what a person draws is drawn: point F1, or segment F1@50."""
        return self.point_f1 if self.of_instants else self.segment_f1.get("50")


class CurvePoint(_Part):
    """One epoch, on the training windows."""

    epoch: int
    loss: Rounded
    balanced_accuracy: Rounded
    min_f1: Rounded


class SampleChannel(_Part):
    """Lowest and highest value of each stretch in turn, in LEVELS steps from `low` to `high`."""

    name: str
    low: float
    high: float
    levels: list[int | None]


class SampleRegion(_Part):
    """A segment in a picture: its class, and its start and end in POSITIONS steps."""

    number: int
    start: int
    end: int
    instant: bool = False


class Sample(_Part):
    """A series, or a stretch of one, with its drawn and predicted segments.

    `positions` are those of the stretches' beginnings and of the end, `(B + 1,)`, from time `start` to
    `stop`: numbers, or milliseconds since 1970 where `dates`. `f1` is the task's `Figures.mean_f1`.
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


class Few(_Part):
    """A label with too few regions, or in too few tasks, to be learned well."""

    name: str
    regions: int
    tasks: int


class Disagreement(_Part):
    """A stretch where the model is sure of something else than what is drawn.

    `drawn` is empty where a region may be missing, `predicted` where one may be too much. `start` and
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


class Unlabelled(_Part):
    """A task that nobody annotated, and its prediction's score."""

    task: TaskId
    score: Rounded


class PairReport(_Part):
    """What was learned for one pair of `TimeSeriesLabels` and `TimeSeries`.

    `class_names` are those of the network, background first. `held_out` are the figures on each task by
    a network that never saw it; None where there is one task only.
    """

    name: str
    class_names: list[str]
    channels: list[str]
    epochs: int
    continued: bool
    thresholds_met: bool
    curve: list[CurvePoint]
    training: Figures
    held_out: Figures | None
    samples: list[Sample]
    unlearned: list[str]
    few: list[Few]
    disagreements: list[Disagreement]


class PastFigures(_Part):
    """Held-out figures of one pair in an earlier version."""

    tasks: int
    macro_f1: Rounded
    f1: dict[str, Rounded | None]
    segment_f1: dict[str, Rounded | None]
    point_f1: Rounded | None
    calibration_error: Rounded | None = None


class Previous(_Part):
    """The version before, and its held-out figures by pair."""

    version: str
    created_at: str
    pairs: dict[str, PastFigures]


class Report(_Part):
    """All that a version's page tells.

    `seconds` are by step. `skipped` are sentences that name a task that was left out, `remarks` those on
    what was guessed of others, and `next` the tasks to annotate next.
    """

    created_at: str
    project: int | None
    title: str
    tasks: list[TaskId]
    skipped: list[str]
    seconds: dict[str, float]
    pairs: list[PairReport]
    remarks: list[str] = []
    next: list[Unlabelled] = []
    previous: Previous | None = None
