"""A report as one self-contained HTML page: pictures and style are in it, and it has no scripts."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from timeseries_segmenter.project.card import Corrections, Metrics
from timeseries_segmenter.project.task import TaskId
from timeseries_segmenter.project.versions import shorten_version
from timeseries_segmenter.report.colours import BACKGROUND, DARK, LABELS, colour
from timeseries_segmenter.report.content import (
    Disagreement,
    PairReport,
    PastMetrics,
    Report,
    Sample,
)
from timeseries_segmenter.report.verdict import Mistake, Verdict, mistakes, next_steps, verdict

if TYPE_CHECKING:
    from timeseries_segmenter.report.picture import Picture

TEMPLATES = Path(__file__).parent / "templates"
PALETTE = TEMPLATES / "palette.css"  # the dashboard's, too


@dataclass(frozen=True, slots=True)
class Tile:
    """A metric of the headline, what it is, and its change since the version before."""

    name: str
    value: str
    change: str = ""
    better: bool = True


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses in Label Studio; none without its address or a project."""

    label_studio: str | None
    project: int | None

    def task(self, task: TaskId, annotation: int | None = None, region: str | None = None) -> str | None:
        """A task in its project's Data Manager; `region` is selected and the others hidden."""
        if not self.label_studio or not self.project:
            return None
        query: dict[str, object] = {"task": task}
        if annotation is not None:
            query |= {"annotation": annotation} | ({"region": region} if region else {})
        return f"{self.label_studio.rstrip('/')}/projects/{self.project}/data?{urlencode(query)}"

    def disagreement(self, found: Disagreement) -> str | None:
        """Where a person can look at it."""
        return self.task(found.task, found.annotation, found.region)


@dataclass(frozen=True, slots=True)
class PairView:
    """One pair's part of the page."""

    pair: PairReport
    verdict: Verdict
    tiles: list[Tile]
    mistakes: list[Mistake]
    steps: list[str]
    samples: "list[tuple[Sample, Picture]]"
    confusions: "list[tuple[str, Picture]]"
    plots: "list[tuple[str, Picture]]"
    curve: "Picture | None"


def render(
    report: Report,
    version: str,
    *,
    label_studio_url: str | None = None,
    restored: str | None = None,
    dashboard: str | None = None,
) -> str:
    """The page of a version. `restored` is the version that it is again after a rollback.

    `label_studio_url` is Label Studio's address for people, `dashboard` that of the page of all projects.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "metric": _metric,
        "moment": _moment,
        "count": _count,
        "seconds": _seconds,
        "change": _change,
        "overall": _overall,
        "version_name": shorten_version,
    }
    return environment.get_template("report.html").render(
        report=report,
        version=version,
        restored=restored,
        dashboard=dashboard,
        links=Links(label_studio_url, report.project),
        views=[_view(pair, report) for pair in report.pairs],
        colours=[BACKGROUND, *LABELS],
        dark=DARK,
        colour_class=lambda number: f"k{LABELS.index(colour(number)) + 1}" if number else "k0",
    )


def _view(pair: PairReport, report: Report) -> PairView:
    # matplotlib is slow to import, and only a page needs it
    from timeseries_segmenter.report import plots
    from timeseries_segmenter.report.sample_plot import sample

    before = report.previous.pairs.get(pair.name) if report.previous else None
    metrics = pair.held_out or pair.training
    confusions = [
        (
            "Instants: which is taken for which"
            if confusion.unit == "instants"
            else "Rows: which class is taken for which",
            plots.confusion_matrix(confusion),
        )
        for confusion in metrics.confusions
    ]
    pictures = [("Precision, recall and F1", plots.class_bars(metrics))]
    then, now = _comparable(pair.held_out, before)
    if then and report.previous:
        pictures.append((f"Since {report.previous.version}", plots.change(then, now)))
    if metrics.reliability:
        pictures.append(("Can its probabilities be believed?", plots.reliability(metrics)))
    return PairView(
        pair,
        verdict(pair, before),
        _tiles(metrics, before if pair.held_out else None),
        mistakes(metrics),
        next_steps(pair, len(report.skipped)),
        [(shown, sample(shown, pair.class_names)) for shown in pair.samples],
        confusions,
        pictures,
        plots.learning_curve(pair.curve) if pair.curve else None,
    )


def _tiles(metrics: Metrics, before: PastMetrics | None) -> list[Tile]:
    then, now = _comparable(metrics, before)
    instants = metrics.of_instants
    main = [_point(metrics)] if instants else ["Macro F1", "Segment F1@50"]
    tiles = [
        Tile(name, _metric(now.get(name), 2), *_changed(then.get(name), now.get(name)))
        for name in main
        if name in now
    ]
    tiles.append(Tile("Predicted / annotated", f"{metrics.predicted_segments} / {metrics.true_segments}"))
    if metrics.calibration_error is not None:
        error = before.calibration_error if before else None
        change, worse = _changed(error, metrics.calibration_error)
        tiles.append(Tile("Calibration error", _metric(metrics.calibration_error, 3), change, not worse))
    return tiles


def _comparable(
    metrics: Metrics | None, before: PastMetrics | None
) -> tuple[dict[str, float], dict[str, float]]:
    """Metrics of the version before and of this one, by their names on the page."""
    if metrics is None:
        return {}, {}
    point = _point(metrics)
    now: dict[str, float | None] = {
        "Macro F1": metrics.macro_f1,
        "Segment F1@50": metrics.segment_f1.get("50"),
        point: metrics.point_f1,
    }
    then: dict[str, float | None] = {}
    if before:
        then = {
            "Macro F1": before.macro_f1,
            "Segment F1@50": before.segment_f1.get("50"),
            point: before.point_f1,
        }
        then |= before.f1
    now |= {each.name: each.f1 for each in metrics.classes if each.kind != "instant"}
    if metrics.of_instants:
        now = {point: metrics.point_f1}
    return (
        {name: value for name, value in then.items() if value is not None and now.get(name) is not None},
        {name: value for name, value in now.items() if value is not None},
    )


def _changed(then: float | None, now: float | None) -> tuple[str, bool]:
    if then is None or now is None:
        return "", True
    return _change(now - then, 2), now >= then


def _overall(metrics: Metrics) -> list[tuple[str, str]]:
    """Metrics over all classes, by name; of instants alone only those that tell something."""
    by_rows = [
        ("Macro F1, by rows", _metric(metrics.macro_f1)),
        ("F1 of the worst class", _metric(metrics.min_f1)),
        ("Balanced accuracy", _metric(metrics.balanced_accuracy)),
        ("Accuracy", _metric(metrics.accuracy)),
        *((f"Segment F1@{overlap}", _metric(f1)) for overlap, f1 in metrics.segment_f1.items()),
    ]
    return [
        *([] if metrics.of_instants else by_rows),
        *([] if metrics.point_f1 is None else [(_point(metrics), _metric(metrics.point_f1))]),
        *([("Mean F1 of the labels", _metric(metrics.mean_f1))] if metrics.of_instants else []),
        *_corrections(metrics.corrections),
        ("Annotated segments", _count(metrics.true_segments)),
        ("Predicted segments", _count(metrics.predicted_segments)),
        ("Tasks", _count(metrics.tasks)),
        ("Rows", _count(metrics.rows)),
    ]


def _corrections(found: Corrections | None) -> list[tuple[str, str]]:
    if found is None:
        return []
    return [
        ("Corrections per annotated segment", _metric(found.per_region)),
        ("Labels to change", _count(found.labels)),
        ("Segments to add", _count(found.added)),
        ("Segments to remove", _count(found.removed)),
        ("Ends to move", _count(found.ends)),
    ]


def _point(metrics: Metrics) -> str:
    return f"Point F1 within {metrics.tolerance} rows"


def _metric(value: float | None, digits: int = 3) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.{digits}f}"


def _change(difference: float, digits: int = 3) -> str:
    return f"{difference:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _count(number: int) -> str:
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{moment.astimezone(UTC):%d %B %Y, %H:%M} UTC".lstrip("0")
