"""A version's card: what is known of a model without its weights, saved once with it and read by everyone."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

from timeseries_segmenter.labeling.pair_settings import Unlabeled
from timeseries_segmenter.project.task import TaskId
from timeseries_segmenter.project.versions import shorten_version

DIGITS = 4  # of metrics
SEARCH_GROWTH = 1.5  # of the number of annotated tasks, after which a search is worth repeating
OVERLAP = "50"  # percent; the segment F1 that is shown

Rounded = Annotated[float, AfterValidator(lambda metric: round(metric, DIGITS))]
Option = bool | int | float | str | None  # of a recipe


class Part(BaseModel):
    """Data that is saved, and doesn't change."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class ClassMetrics(Part):
    """How one class is found: rows of ranges, or instants within the tolerance.

    `precision`, `recall` and `f1` are None if there is nothing to divide by. `support` are the
    annotated rows, or instants. `segments`, `predicted` and `segment_f1` count annotated and predicted
    segments, and those that overlap by half; background has none.
    """

    name: str
    kind: Literal["background", "range", "instant"]
    precision: Rounded | None = None
    recall: Rounded | None = None
    f1: Rounded | None
    support: int = 0
    segments: int = 0
    predicted: int = 0
    segment_f1: Rounded | None = None


class Confusion(Part):
    """Counts of rows, or of instants: annotated class down, predicted class across."""

    unit: Literal["rows", "instants"]
    names: list[str]
    counts: list[list[int]]


class ReliabilityBin(Part):
    """Rows predicted with about the same probability, and the share of them that was right."""

    confidence: Rounded
    accuracy: Rounded
    count: int


class Corrections(Part):
    """What a person has to do to turn predicted segments into the annotated ones.

    `labels` to change, segments to be `added` and `removed`, and `ends` to move by more than a tenth of the
    segment; `per_region` is their sum by the number of annotated segments, None if there is none.
    """

    labels: int = 0
    added: int = 0
    removed: int = 0
    ends: int = 0
    per_region: Rounded | None = None


class VersionCorrections(Part):
    """What people corrected in the predictions of `version` that `annotations` began as, in all.

    `regions` are those that they submitted; `labels`, `added`, `removed` and `ends` as in `Corrections`.
    `seconds` is the median that an annotation took, None if Label Studio doesn't say. Without a version, the
    annotations began as nothing, and there is nothing to correct.
    """

    version: str
    annotations: int
    regions: int = 0
    labels: int = 0
    added: int = 0
    removed: int = 0
    ends: int = 0
    seconds: Rounded | None = None

    @property
    def per_region(self) -> float | None:
        """Corrections by the number of submitted regions; None if there is none."""
        corrections = self.labels + self.added + self.removed + self.ends
        return corrections / self.regions if self.regions else None


class Metrics(Part):
    """How well predictions agree with the annotated segments of `tasks` series.

    None: does not apply, or was not measured by the release that made the version. `segment_f1` is by
    overlap in percent, `point_f1` within `tolerance` rows. The calibration is that of the predicted
    class of each row.
    """

    tasks: int = 0
    rows: int = 0
    accuracy: Rounded | None = None
    balanced_accuracy: Rounded | None = None
    macro_f1: Rounded
    min_f1: Rounded | None = None
    segment_f1: dict[str, Rounded | None] = {}
    point_f1: Rounded | None = None
    tolerance: int = 0
    corrections: Corrections | None = None
    true_segments: int = 0
    predicted_segments: int = 0
    classes: list[ClassMetrics] = []
    confusions: list[Confusion] = []
    calibration_error: Rounded | None = None
    reliability: list[ReliabilityBin] = []

    @property
    def of_instants(self) -> bool:
        """Whether there are instants alone, of which rows and overlaps say little."""
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
        """How much of what is annotated is predicted: point F1, or segment F1@50."""
        return self.point_f1 if self.of_instants else self.segment_f1.get(OVERLAP)


class RecipeTrial(Part):
    """How well a recipe does on held-out tasks.

    `f1` is of segments: ranges by half their overlap, instants within five rows; `macro_f1` of rows.
    `difference` is the F1 less that of the best recipe before it, `noise` its standard error; None for the
    recipe that is set. `seconds` are of the CPU. `better` recipes take the place of the best before. `tasks`
    are those that it was tried on: some of them, if it found less there than what is set; None for all, in
    versions of earlier releases.
    """

    name: str
    f1: Rounded
    macro_f1: Rounded
    difference: Rounded | None = None
    noise: Rounded | None = None
    seconds: Rounded
    better: bool = False
    tasks: int | None = None


class RecipeSearch(Part):
    """What a search among recipes came to, by cross-validation on `tasks` annotated tasks.

    The first of its `trials` is that of the recipe that is set. `not_tried` names the candidates for which
    the time did not suffice. `changes` says what is different in the best recipe, by field: what is set,
    and what is better.
    """

    tasks: int
    searched_at: datetime
    trials: list[RecipeTrial]
    not_tried: list[str] = []
    changes: dict[str, tuple[Option, Option]] = {}

    @property
    def outcome(self) -> str:
        """In a sentence without a full stop."""
        first, *others = self.trials
        better = [trial for trial in others if trial.better]
        if better:
            names = ", ".join(trial.name for trial in better)
            found = f"better: {names} (F1 {better[-1].f1:.3f} instead of {first.f1:.3f} on held-out tasks)"
        else:
            found = f"nothing better than what is set (F1 {first.f1:.3f} on held-out tasks)"
        short = f"; no time for: {', '.join(self.not_tried)}" if self.not_tried else ""
        tried = "1 recipe" if not others else f"{len(self.trials)} recipes"
        return f"{tried} tried, {found}{short}"


class PairCard(Part):
    """What was learned for one pair of `TimeSeriesLabels` and `TimeSeries`.

    `continued`: by a warm start, `epochs` counts those of this training run. `unlabeled` is the pair's
    `model_unlabeled`: what rows without a region teach. `unlearned` are labels without
    an example, `folds` the fold of each task in the cross-validation, by its id as text. `training` are
    metrics on the series that were learned from, `held_out` those by networks that never saw the
    series; None if there was one task. `search` is the one that found the recipe. `sampling` says
    which series were brought to another rate; empty if none was. `weights` are those of its opinions, by
    name; if it `adapts`, its network sees a series by the series' own moments, too.
    """

    epochs: int = 0
    continued: bool = False
    thresholds_met: bool = False
    unlabeled: Unlabeled = "background"
    unlearned: list[str] = []
    folds: dict[str, int] = {}
    sampling: str = ""
    weights: dict[str, Rounded] = {}
    adapts: bool = False
    training: Metrics | None = None
    held_out: Metrics | None = None
    search: RecipeSearch | None = None


class Selection(Part):
    """Which tasks a version learned from, of the `annotated` ones of its project.

    `run` is the number of its training run. `rows` are those that it learned from, of all pairs together;
    `cut` tasks are so long that they were stretches of their series. Of the tasks that it did not learn from,
    `turns` says by which run each was read last, and `untaken` counts those that no run has read as they
    are annotated now. The newest annotation is of `until`, in seconds since 1970 by Label Studio's clock;
    None if it doesn't say.
    """

    run: int = 0
    annotated: int = 0
    rows: int = 0
    cut: int = 0
    untaken: int = 0
    until: float | None = None
    turns: dict[int, list[TaskId]] = {}


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a version is: means over the pairs of its model, from 0 to 1; None if not measured.

    `held_out`: on series that the network had not seen, else on the training series.
    """

    held_out: bool
    macro_f1: float
    segment_f1: float | None
    point_f1: float | None

    @property
    def measured_on(self) -> str:
        """In words."""
        return "held-out series" if self.held_out else "training series"


class Card(Part):
    """A version of a project's model.

    `version` is empty if the file doesn't say it, `project` None for models that the command line made.
    `title` is the project's, or the file's name. `tasks` are those that it learned from, by a `selection` if
    there are more. `skipped` are sentences on tasks that were left out, and
    `left_out` those tasks, each with the pair that lacks it; None if that is not known. `remarks` are
    sentences on what had to be guessed of others, `seconds` what each step took. `corrected` is what people
    did with predictions until then. `restored` is the version that this one is again, after a rollback.
    `start` is the version of another project's model that the training run began with; empty for none.
    """

    version: str = ""
    project: int | None = None
    title: str = ""
    created_at: datetime | None = None
    label_config: str = ""
    tasks: list[TaskId] = []
    skipped: list[str] = []
    left_out: list[tuple[TaskId, str]] | None = None
    remarks: list[str] = []
    seconds: dict[str, float] = {}
    corrected: list[VersionCorrections] = []
    restored: str | None = None
    start: str = ""
    selection: Selection = Selection()
    pairs: dict[str, PairCard] = {}

    @property
    def searches(self) -> dict[str, RecipeSearch]:
        """Those that found the recipes of pairs."""
        return {name: pair.search for name, pair in self.pairs.items() if pair.search}

    @property
    def made_by(self) -> str:
        """The version whose weights these are."""
        return self.restored or self.version

    @property
    def quality(self) -> Quality | None:
        """By the held-out metrics if every pair has them: the two kinds are never averaged."""
        pairs = self.pairs.values()
        held_out = [pair.held_out for pair in pairs if pair.held_out]
        all_held_out = len(held_out) == len(pairs)
        metrics = held_out if all_held_out else [pair.training for pair in pairs if pair.training]
        if not metrics:
            return None
        return Quality(
            all_held_out,
            fmean(each.mean_f1 for each in metrics),
            _mean(each.segment_f1.get(OVERLAP) for each in metrics),
            _mean(each.point_f1 for each in metrics),
        )

    @property
    def learned_from(self) -> str:
        """What it learned from, in words, as far as that is not all that is annotated; else empty."""
        chosen = self.selection
        others = chosen.annotated - len({*self.tasks, *(task for task, _ in self.left_out or ())})
        if others <= 0 and not chosen.cut:
            return ""
        sentence = f"learned from {len(self.tasks):,} of {chosen.annotated:,} annotated tasks"
        sentence += f" ({chosen.rows:,} rows)"
        if chosen.cut:
            sentence += f", from stretches of {chosen.cut:,} long ones"
        if others > 0:
            sentence += "; the others take turns in later training runs"
        if chosen.untaken:
            sentence += f", and {chosen.untaken:,} have not had theirs yet"
        return sentence

    @property
    def newest_corrections(self) -> str:
        """What people corrected in the newest predictions that annotations began as, in words; else empty."""
        begun = [each for each in self.corrected if each.version and each.per_region is not None]
        if not begun:
            return ""
        newest = begun[-1]
        began = (
            "1 annotation that began as a prediction"
            if newest.annotations == 1
            else f"{newest.annotations:,} annotations that began as predictions"
        )
        version = shorten_version(newest.version, self.project)
        sentence = f"{newest.per_region:.2f} corrections per region in {began} of {version}"
        without = next((each.seconds for each in self.corrected if not each.version), None)
        if newest.seconds and without:
            sentence += f", {newest.seconds:.0f} s each instead of {without:.0f} s without"
        return sentence

    def dump(self) -> dict[str, Any]:
        """As plain numbers, texts, lists and dicts."""
        return self.model_dump(mode="json")


def _mean(metrics: Iterable[float | None]) -> float | None:
    measured = [metric for metric in metrics if metric is not None]
    return fmean(measured) if measured else None
