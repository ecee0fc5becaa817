"""The table of the demo: what is true, and what the model says."""

from typing import Any

from rich.table import Table

from demo.sample import Sample, row_f1, segments, spans
from timeseries_segmenter.learning.segment_metrics import overlap_matches

LEGEND = (
    "Segments in seconds, both ends inclusive. F1 by row: mean over the true classes, background",
    "included. F1@50: segments found with the right label and at least half of their union.",
)


def results(others: dict[int, Sample], predicted: dict[int, list[dict[str, Any]]]) -> Table:
    """True and predicted segments of each task, and how well they agree. Keys are task ids."""
    table = Table(title="The series that nobody annotated")
    for column in ("Task", "True segments", "Predicted segments"):
        table.add_column(column, no_wrap=True)
    for column in ("F1 by row\n(macro)", "F1@50\n(segments)"):
        table.add_column(column, justify="right")
    for task_id, sample in others.items():
        found = predicted[task_id]
        true, guessed = segments(sample.regions, sample.times), segments(found, sample.times)
        scores = row_f1(true, guessed, len(sample.times)), overlap_matches(true, guessed, 0.5).f1
        table.add_row(
            str(task_id), lines(sample.regions), lines(found), *(f"{score:.2f}" for score in scores)
        )
        table.add_section()
    return table


def lines(regions: Any) -> str:
    return "\n".join(f"{label:<9} {start:4.1f}-{end:4.1f}" for start, end, label in spans(regions))
