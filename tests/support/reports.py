"""A report of real recordings: three tasks of the demo's basic motions."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.training.fit import Fitted, Recipe, fit
from timeseries_segmenter.project.card import ReliabilityBin
from timeseries_segmenter.project.labelled_task import LabelledTask
from timeseries_segmenter.report.builder import HeldOut, pair_report
from timeseries_segmenter.report.content import Disagreement, PairReport, Report
from timeseries_segmenter.segment import Segment
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.export_file import read_config, read_tasks
from timeseries_segmenter.sources.task_series import TaskSeries

DATA = Path("examples/activity")
LABEL_SETS = (("Badminton",), ("Running",), ("Walking",))
BINS = [
    ReliabilityBin(confidence=0.55, accuracy=0.5, count=100),
    ReliabilityBin(confidence=0.95, accuracy=0.9, count=1100),
]


def pair() -> LabelPair:
    return read_config(DATA / "config.xml").pairs[0]


@cache
def tasks() -> list[LabelledTask]:
    series = TaskSeries.from_settings(Settings(local_files_dir=DATA))
    read = (
        LabelledTask.read(task, pair(), series.of_task(task))
        for task in read_tasks(DATA / "tasks.json", [1, 2, 3])
    )
    return [task for task in read if task]


@cache
def fitted() -> Fitted:
    return _fit([task.example(LABEL_SETS) for task in tasks()])


@cache
def predicted() -> list[list[Segment]]:
    """Of each task by a network that never saw it."""
    examples = [task.example(LABEL_SETS) for task in tasks()]
    segments = []
    for place, example in enumerate(examples):
        segmenter = _fit([*examples[:place], *examples[place + 1 :]]).segmenter
        segments.append(segmenter.segments(example.values))
    return segments


def _fit(examples: Sequence[Example]) -> Fitted:
    return fit(examples, LABEL_SETS, pair().channels, Recipe(epochs=8, hidden_size=8))


def checked() -> HeldOut:
    return HeldOut(predicted(), 0.05, BINS)


def part(disagreements: Sequence[Disagreement] = (), checked: HeldOut | None = None) -> PairReport:
    return pair_report("label:ts", tasks(), fitted(), checked, time_name="time", disagreements=disagreements)


def report(of_pair: PairReport, **changes: object) -> Report:
    whole = Report(
        created_at="2026-11-25T10:15:00+00:00",
        project=47,
        title="Basic motions",
        tasks=[1, 2, 3],
        skipped=[],
        seconds={"fetching": 0.3, "fitting": 4.5},
        pairs=[of_pair],
    )
    return whole.model_copy(update=changes)
