"""A report as one HTML page that stands by itself: pictures and style are in it, scripts it has none."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from timeseries_segmenter.project.card import Metrics
from timeseries_segmenter.project.task import TaskId
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
    """A figure of the headline, what it is, and its change since the version before."""

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
    figures: "list[tuple[str, Picture]]"
    curve: "Picture | None"


def render(
    report: Report,
    version: str,
    *,
    label_studio_url: str | None = None,
    restored: str | None = None,
    dashboard: str | None = None,
) -> str:
    """The page of a version. `restored` is the version that it stands for after a rollback.

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
        "figure": _figure,
        "moment": _moment,
        "count": _count,
        "seconds": _seconds,
        "overall": _overall,
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
    figures = pair.held_out or pair.training
    confusions = [
        (
            "Instants: which is taken for which"
            if confusion.unit == "instants"
            else "Rows: which class is taken for which",
            plots.confusion_matrix(confusion),
        )
        for confusion in figures.confusions
    ]
    pictures = [("Precision, recall and F1", plots.class_bars(figures))]
    then, now = _comparable(pair.held_out, before)
    if then and report.previous:
        pictures.append((f"Since {report.previous.version}", plots.change(then, now)))
    if figures.reliability:
        pictures.append(("Can its probabilities be believed?", plots.reliability(figures)))
    return PairView(
        pair,
        verdict(pair, before),
        _tiles(figures, before if pair.held_out else None),
        mistakes(figures),
        next_steps(pair, len(report.skipped)),
        [(shown, sample(shown, pair.class_names)) for shown in pair.samples],
        confusions,
        pictures,
        plots.learning_curve(pair.curve) if pair.curve else None,
    )


def _tiles(figures: Metrics, before: PastMetrics | None) -> list[Tile]:
    then, now = _comparable(figures, before)
    instants = figures.of_instants
    main = [_point(figures)] if instants else ["Macro F1", "Segment F1@50"]
    tiles = [
        Tile(name, _figure(now.get(name), 2), *_changed(then.get(name), now.get(name)))
        for name in main
        if name in now
    ]
    tiles.append(Tile("Predicted / drawn", f"{figures.predicted_segments} / {figures.true_segments}"))
    if figures.calibration_error is not None:
        error = before.calibration_error if before else None
        change, worse = _changed(error, figures.calibration_error)
        tiles.append(Tile("Calibration error", _figure(figures.calibration_error, 3), change, not worse))
    return tiles


def _comparable(
    figures: Metrics | None, before: PastMetrics | None
) -> tuple[dict[str, float], dict[str, float]]:
    """Metrics of the version before and of this one, by their names on the page."""
    if figures is None:
        return {}, {}
    point = _point(figures)
    now: dict[str, float | None] = {
        "Macro F1": figures.macro_f1,
        "Segment F1@50": figures.segment_f1.get("50"),
        point: figures.point_f1,
    }
    then: dict[str, float | None] = {}
    if before:
        then = {
            "Macro F1": before.macro_f1,
            "Segment F1@50": before.segment_f1.get("50"),
            point: before.point_f1,
        }
        then |= before.f1
    now |= {each.name: each.f1 for each in figures.classes if each.kind != "instant"}
    if figures.of_instants:
        now = {point: figures.point_f1}
    return (
        {name: value for name, value in then.items() if value is not None and now.get(name) is not None},
        {name: value for name, value in now.items() if value is not None},
    )


def _changed(then: float | None, now: float | None) -> tuple[str, bool]:
    if then is None or now is None:
        return "", True
    return f"{now - then:+.2f}".replace("-", "\N{MINUS SIGN}"), now >= then


def _overall(figures: Metrics) -> list[tuple[str, str]]:
    """Metrics over all classes, by name; of instants alone only those that tell something."""
    by_rows = [
        ("Macro F1, by rows", _figure(figures.macro_f1)),
        ("F1 of the worst class", _figure(figures.min_f1)),
        ("Balanced accuracy", _figure(figures.balanced_accuracy)),
        ("Accuracy", _figure(figures.accuracy)),
        *((f"Segment F1@{overlap}", _figure(f1)) for overlap, f1 in figures.segment_f1.items()),
    ]
    return [
        *([] if figures.of_instants else by_rows),
        *([] if figures.point_f1 is None else [(_point(figures), _figure(figures.point_f1))]),
        *([("Mean F1 of the labels", _figure(figures.mean_f1))] if figures.of_instants else []),
        ("Drawn segments", _count(figures.true_segments)),
        ("Predicted segments", _count(figures.predicted_segments)),
        ("Tasks", _count(figures.tasks)),
        ("Rows", _count(figures.rows)),
    ]


def _point(figures: Metrics) -> str:
    return f"Point F1 within {figures.tolerance} rows"


def _figure(value: float | None, digits: int = 3) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.{digits}f}"


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
