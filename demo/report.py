"""The table of the demo: what is true, and what the model says."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from rich.table import Table

from timeseries_segmenter.labeling.time.axis import TimeAxis
from timeseries_segmenter.project.evaluation import TOLERANCE, Comparison, evaluate
from timeseries_segmenter.segment import Segment, label_set_name
from tools.studio.sample import BundledExample, Sample

Metric = Callable[[dict[str, Any]], float | None]
MILLISECONDS = 1000

RANGE_METRICS: dict[str, Metric] = {
    "F1 by row\n(macro)": lambda metrics: float(metrics["macro_f1"]),
    "F1@50\n(segments)": lambda metrics: metrics["segment_f1"]["50"],
}
INSTANT_METRICS: dict[str, Metric] = {"Point F1\n(instants)": lambda metrics: metrics["point_f1"]}
RANGE_LEGEND = (
    "Segments in seconds from the beginning, both ends inclusive. F1 by row: mean over the true classes,\n"
    "background included. F1@50: segments found with the right label and at least half of their union.\n"
)
INSTANT_LEGEND = f"Point F1: instants found with the right label, at most {TOLERANCE} rows off.\n"


def results(
    example: BundledExample, others: dict[int, Sample], predicted: dict[int, list[dict[str, Any]]]
) -> Table:
    """True and predicted segments of each task, and how well they agree. Keys are task ids."""
    shown: dict[str, Metric] = {}
    for instant, metrics in ((False, RANGE_METRICS), (True, INSTANT_METRICS)):
        if instant in _kinds(example):
            shown |= metrics
    table = Table(title="The series that nobody annotated")
    for column in ("Task", "True segments", "Predicted segments"):
        table.add_column(column, no_wrap=True)
    for column in shown:
        table.add_column(column, justify="right")
    for task_id, sample in others.items():
        true = example.segments(sample, sample.regions)
        found = example.segments(sample, predicted[task_id])
        measured = evaluate([Comparison(true, found, len(sample.series))], example.label_sets)
        texts = (lines(segments, sample.series.time) for segments in (true, found))
        table.add_row(str(task_id), *texts, *(_shown(metric(measured)) for metric in shown.values()))
        table.add_section()
    return table


def legend(example: BundledExample) -> str:
    kinds = _kinds(example)
    return (RANGE_LEGEND if False in kinds else "") + (INSTANT_LEGEND if True in kinds else "")


def lines(segments: Sequence[Segment], time: TimeAxis) -> str:
    """A line for each range, in seconds from the beginning, and one for the instants of each label."""
    seconds = (time.stamps - time.stamps[0]) / (MILLISECONDS if time.time_format else 1)
    width = max((len(label_set_name(segment.labels)) for segment in segments), default=0)
    ranges = [
        f"{label_set_name(each.labels):<{width}} {seconds[each.first]:5.1f}-{seconds[each.last]:5.1f}"
        for each in segments
        if not each.instant
    ]
    instants = Counter(label_set_name(segment.labels) for segment in segments if segment.instant)
    counts = [f"{label:<{width}} {_counted(number)}" for label, number in sorted(instants.items())]
    return "\n".join(ranges + counts)


def _kinds(example: BundledExample) -> set[bool]:
    """Whether the true segments are ranges (False), instants (True), or both."""
    return {segment.instant for each in example.samples for segment in example.segments(each, each.regions)}


def _counted(number: int) -> str:
    return f"{number:2} instant" + ("" if number == 1 else "s")


def _shown(metric: float | None) -> str:
    return "-" if metric is None else f"{metric:.2f}"
