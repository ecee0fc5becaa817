"""What a report's metrics mean, in words that a person can act on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from timeseries_segmenter.project.card import Metrics
from timeseries_segmenter.report.content import PairReport, PastMetrics
from timeseries_segmenter.words import counted

GOOD = 0.85  # of mean F1 and of the segments found: most regions can stay as they are
FAIR = 0.6  # more is right than wrong
WEAK = 0.6  # F1 of a class below which it is named
SAME = 0.02  # metrics so near each other are the same
DISPUTED = 0.7  # agreement on a label below which people mean different things by it
FEW_TASKS = 5  # with fewer, the next task may change all metrics
LEAST_CONFUSED = 0.02  # of a class's rows
MOST_CONFUSED = 6
NEEDS_MORE = 0.1  # of a class's rows taken for another: worth drawing more of both

Level = Literal["good", "fair", "poor", "unknown"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether predictions can be trusted, and what that follows from."""

    level: Level
    headline: str
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class Mistake:
    """Rows or instants of one class that are taken for another; `share` is of those of `of`."""

    annotated: str
    predicted: str
    count: int
    share: float
    unit: str

    def __str__(self) -> str:
        share = f"{self.share:.0%}" if self.share >= 0.01 else "less than 1%"
        if self.unit == "instants" and self.predicted == "nothing":
            return f"{share} of the instants annotated as {self.annotated} are missed"
        if self.unit == "instants" and self.annotated == "nothing":
            return f"{share} of the instants predicted as {self.predicted} are where nothing is annotated"
        return f"{share} of the {self.unit} annotated as {self.annotated} are predicted as {self.predicted}"


def verdict(pair: PairReport, before: PastMetrics | None = None) -> Verdict:
    """Whether a pair's predictions can be trusted, from its held-out metrics alone."""
    metrics = pair.held_out
    if metrics is None:
        return Verdict(
            "unknown",
            "Not known yet: annotate a second task",
            [
                "With one task, no task is left to measure the model on. All metrics below are on the series "
                "that it was trained on, and say little about others."
            ],
        )
    reached = min(metrics.mean_f1, 1.0 if metrics.found is None else metrics.found)
    level: Level = "good" if reached >= GOOD else "fair" if reached >= FAIR else "poor"
    headline = {
        "good": "Can be trusted: look over what it draws",
        "fair": "A useful draft: check every region",
        "poor": "Not to be trusted yet: annotate more",
    }[level]
    return Verdict(level, headline, [*_measured(metrics), *_compared(metrics, before)])


def _measured(metrics: Metrics) -> Iterator[str]:
    what = (
        f"point F1 {metrics.point_f1:.2f} (at most {metrics.tolerance} rows off)"
        if metrics.of_instants and metrics.point_f1 is not None
        else f"macro F1 {metrics.macro_f1:.2f}"
        + ("" if metrics.found is None else f" and segment F1@50 {metrics.found:.2f}")
    )
    kind = "instants" if metrics.of_instants else "regions"
    yield (
        f"On series that it had never seen, it reaches {what}, with {metrics.predicted_segments} {kind} "
        f"predicted for {metrics.true_segments} annotated."
    )
    weak = [each.name for each in metrics.classes if each.support and (each.f1 or 0) < WEAK]
    if weak:
        yield f"Least to be trusted: {', '.join(weak)} (F1 below {WEAK})."
    if metrics.tasks < FEW_TASKS:
        yield f"Measured on {counted(metrics.tasks, 'task')} only: one more may change every metric."


def _compared(metrics: Metrics, before: PastMetrics | None) -> Iterator[str]:
    if before is None:
        return
    name = "point F1" if metrics.of_instants else "macro F1"
    then = before.point_f1 if metrics.of_instants else before.macro_f1
    now = metrics.point_f1 if metrics.of_instants else metrics.macro_f1
    if then is None or now is None:
        return
    how = "About as good as" if abs(now - then) < SAME else "Better than" if now > then else "Worse than"
    tasks = (
        ""
        if before.tasks == metrics.tasks
        else f", on {counted(metrics.tasks, 'task')} instead of {before.tasks}"
    )
    yield f"{how} the version before: {name} {then:.2f} then, {now:.2f} now{tasks}."


def mistakes(metrics: Metrics) -> list[Mistake]:
    """What is confused most, first; left out is what happens in passing."""
    found = []
    for confusion in metrics.confusions:
        sums = [sum(row) for row in confusion.counts]
        for row, counts in enumerate(confusion.counts):
            for column, count in enumerate(counts):
                if not count or row == column:
                    continue
                # where nothing is annotated, a share of what is predicted: nothing can't be counted
                of = (
                    sums[row]
                    if row or confusion.unit == "rows"
                    else sum(each[column] for each in confusion.counts)
                )
                mistake = Mistake(
                    confusion.names[row], confusion.names[column], count, count / of, confusion.unit
                )
                if mistake.share >= LEAST_CONFUSED:
                    found.append(mistake)
    return sorted(found, key=lambda each: (-each.share, -each.count))[:MOST_CONFUSED]


def next_steps(pair: PairReport, skipped: int) -> list[str]:
    """What a person can do for a better model, what helps most first."""
    steps = []
    if pair.held_out is None:
        steps.append("Annotate a second task, so that the model can be checked on one that it hasn't seen.")
    if skipped:
        steps.append(f"Mend {counted(skipped, 'task')} that couldn't be learned from; the reasons are above.")
    disputed = pair.agreement.labels[:1] if pair.agreement else []
    if disputed and disputed[0].lowest < DISPUTED:
        steps.append(
            f"Settle what {disputed[0].name} is: people agree on {disputed[0].lowest:.0%} of it. The tasks "
            "on which they differ most are listed below."
        )
    if pair.disagreements:
        steps.append("Look at the regions listed below that the model disagrees with: some may be wrong.")
    if pair.unlearned:
        steps.append(f"Draw some regions with {_listed(pair.unlearned)}: there are none yet.")
    if pair.few:
        few = (f"{each.name} ({each.regions} in {counted(each.tasks, 'task')})" for each in pair.few)
        steps.append(f"Draw more regions with few so far: {', '.join(few)}.")
    confused = next(
        (
            each
            for each in (mistakes(pair.held_out) if pair.held_out else [])
            if each.share >= NEEDS_MORE and each.unit == "rows"
        ),
        None,
    )
    if confused:
        steps.append(
            f"Annotate more series with {_listed([confused.annotated, confused.predicted])}, which get mixed "
            "up, and check that they begin and end by the same rule everywhere."
        )
    if not steps:
        steps.append(
            "Nothing stands out. Annotate next what is listed so: what adds most to the annotated series."
        )
    return steps


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
