"""What a growing installation needs: `python -m benchmarks.simulate_growth`, tables in Markdown.

A simulation, event by event, of one working day: people annotate, each submitted annotation queues a job of
its project unless one waits already, and workers take the project that has waited longest. What a run
costs was measured by the other benchmarks (`RESULTS.md`), and options change it. Nothing is trained here.

The number of workers is the least with which 95% of the annotations are in a model within a minute.
"""

import argparse
import heapq
import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

SECONDS_OF_DAY = 6 * 3600  # in which people annotate
WITHIN = 60.0  # seconds from an annotation to a model that knows it, for 95% of them
MOST_WORKERS = 4096


@dataclass(frozen=True, slots=True)
class Costs:
    """What one of each takes, as measured; seconds are of the CPU."""

    warm_run: float = 10.0  # s, a training run after an annotation, at its bound of rows
    scratch_run: float = 30.0  # s, the same from scratch
    from_scratch: float = 0.03  # of the runs
    run_requests: int = 10  # to Label Studio, of a training run
    request: float = 0.05  # s of Label Studio
    run_megabytes: float = 0.5  # that Label Studio sends for one: what changed, and a page of tasks
    predicted: int = 500  # tasks after each run, PREDICT_AFTER_TRAINING
    predict_task: float = 0.006  # s, one task of 1,000 rows, with reading it
    replace_prediction: float = 0.08  # s of Label Studio
    rest: float = 3.0  # times as long, Label Studio is left alone afterwards
    task_kilobytes: float = 2.5  # of an annotated task in the store
    series_kilobytes: float = 26.0  # of a parsed series of 1,000 rows and 6 channels
    model_megabytes: float = 2.0  # of a version with its folds and report


@dataclass(frozen=True, slots=True)
class Installation:
    """Tasks of all projects, all annotated within some days, by people who need a minute for one."""

    tasks: int
    tasks_in_project: int
    days: int
    versions: int = 5

    @property
    def projects(self) -> int:
        return max(1, self.tasks // self.tasks_in_project)

    @property
    def annotations(self) -> int:
        """Of one day."""
        return max(1, self.tasks // self.days)


@dataclass(slots=True)
class Day:
    """What happened in a simulated day: training runs, their seconds, and how long annotations waited."""

    runs: int = 0
    busy: float = 0.0
    waits: list[float] = field(default_factory=list)

    @property
    def late(self) -> float:
        """Seconds within which 95% of the annotations were in a model."""
        return float(np.percentile(self.waits, 95))


def simulate(installation: Installation, costs: Costs, workers: int, seed: int = 0) -> Day:
    """One day, until the last annotation is learned; times are in seconds since its start."""
    random = np.random.default_rng(seed)
    day = Day()
    arrivals = _arrivals(installation, random)
    waiting: deque[int] = deque()  # projects, the longest first
    unlearned: dict[int, list[float]] = {}  # when the annotations came that the next run of a project learns
    trained: set[int] = set()  # projects that are
    ends: list[tuple[float, int, list[float]]] = []
    upcoming = next(arrivals, None)
    now = 0.0
    while upcoming or ends:
        if upcoming and (not ends or upcoming[0] <= ends[0][0]):
            now, project = upcoming
            upcoming = next(arrivals, None)
            if project not in unlearned:
                unlearned[project] = []
                waiting.append(project)
            unlearned[project].append(now)
        else:
            now, project, learned = heapq.heappop(ends)
            trained.discard(project)
            day.waits += [now - came for came in learned]
        for free in [each for each in waiting if each not in trained][: workers - len(ends)]:
            waiting.remove(free)
            trained.add(free)
            seconds = costs.scratch_run if random.random() < costs.from_scratch else costs.warm_run
            day.runs += 1
            day.busy += seconds
            heapq.heappush(ends, (now + seconds, free, unlearned.pop(free)))
    return day


def _arrivals(installation: Installation, random: np.random.Generator) -> Iterator[tuple[float, int]]:
    """When annotations are submitted, and in which project: as many in each, at random times."""
    times = np.sort(random.uniform(0, SECONDS_OF_DAY, installation.annotations))
    projects = random.integers(installation.projects, size=len(times))
    return zip(times.tolist(), projects.tolist(), strict=True)


def least_workers(installation: Installation, costs: Costs) -> tuple[int, Day]:
    """The least number with which annotations are learned in time, and the day with them."""
    enough = next(
        count
        for count in itertools.accumulate(itertools.repeat(2), int.__mul__, initial=1)
        if count >= MOST_WORKERS or simulate(installation, costs, count).late <= WITHIN
    )
    low, high = enough // 2, enough
    while high - low > 1:
        middle = (low + high) // 2
        if simulate(installation, costs, middle).late <= WITHIN:
            high = middle
        else:
            low = middle
    return high, simulate(installation, costs, high)


COLUMNS = (
    *("annotated tasks", "projects", "annotations a day", "workers", "in training runs", "a model within, s"),
    *("runs a day", "Label Studio, CPU h a day", "GB a day from it"),
    *("predictions due a day", "workers for them", "Label Studio for them, CPU h a day"),
    *("store, GB", "series, GB", "models, GB"),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, nargs="+", default=[10**3, 10**5, 10**7])
    parser.add_argument("--tasks-in-project", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=60, help="in which all tasks are annotated")
    for cost in fields(Costs):
        option = f"--{cost.name.replace('_', '-')}"
        parser.add_argument(option, type=type(cost.default), default=cost.default, help="(default: measured)")
    arguments = parser.parse_args()
    costs = Costs(**{cost.name: getattr(arguments, cost.name) for cost in fields(Costs)})
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for tasks in arguments.tasks:
        installation = Installation(tasks, arguments.tasks_in_project, arguments.days)
        print(f"| {' | '.join(row_of(installation, costs))} |", flush=True)


def row_of(installation: Installation, costs: Costs) -> Sequence[str]:
    """What the installation needs, by column."""
    workers, day = least_workers(installation, costs)
    due = day.runs * costs.predicted
    seconds = due * (costs.predict_task + costs.replace_prediction * (1 + costs.rest))
    return (
        f"{installation.tasks:,}",
        f"{installation.projects:,}",
        f"{installation.annotations:,}",
        f"{workers:,}",
        f"{min(1.0, day.busy / workers / SECONDS_OF_DAY):.0%}",
        f"{day.late:.0f}",
        f"{day.runs:,}",
        f"{day.runs * costs.run_requests * costs.request / 3600:.1f}",
        f"{day.runs * costs.run_megabytes / 1e3:.1f}",
        f"{due:,}",
        f"{seconds / SECONDS_OF_DAY:,.1f}",
        f"{due * costs.replace_prediction / 3600:,.1f}",
        f"{installation.tasks * costs.task_kilobytes / 1e6:.2f}",
        f"{installation.tasks * costs.series_kilobytes / 1e6:.1f}",
        f"{installation.projects * installation.versions * costs.model_megabytes / 1e3:.1f}",
    )


if __name__ == "__main__":
    main()
