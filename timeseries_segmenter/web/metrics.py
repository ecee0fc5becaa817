"""What the service counts, in the form that Prometheus reads."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.values import MutexValue, ValueClass

from timeseries_segmenter.trainings.job import Kind, State
from timeseries_segmenter.trainings.queue import JobQueue

PREFIX = "timeseries_segmenter"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60)


class Metrics:
    """Counted by each web process; read from all of them if gunicorn runs several.

    Trainings are counted in MODEL_DIR, since they run in processes and on machines of their own.
    """

    def __init__(self, queue: JobQueue) -> None:
        self._trainings = TrainingCollector(queue)
        self._registry = registry = CollectorRegistry()
        registry.register(self._trainings)
        self.requests = Counter(
            f"{PREFIX}_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            f"{PREFIX}_request_seconds", "Time to answer.", ["route"], registry=registry
        )
        self.prediction_seconds = Histogram(
            f"{PREFIX}_prediction_seconds", "Time to predict a task.", buckets=SECONDS, registry=registry
        )
        self.rows = Counter(
            f"{PREFIX}_predicted_rows", "Rows of the series that were predicted.", registry=registry
        )
        self.models = Gauge(
            f"{PREFIX}_models_in_memory",
            "Models in the memory of web processes.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.downloads = Counter(
            f"{PREFIX}_series_cache",
            "Series asked of their hosts: unchanged in the cache (hit), or not.",
            ["result"],
            registry=registry,
        )

    def observe_prediction(self, rows: int, seconds: float) -> None:
        """A task was predicted."""
        self.rows.inc(rows)
        self.prediction_seconds.observe(seconds)

    def observe_cache(self, hit: bool) -> None:
        """A series was asked of its host."""
        self.downloads.labels("hit" if hit else "miss").inc()

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        if ValueClass is MutexValue:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(self._trainings)
        return generate_latest(registry)


class TrainingCollector(Collector):
    """Trainings of all projects, by the files in MODEL_DIR: the same from every process."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    def collect(self) -> Iterable[Metric]:
        """Read the state of every project."""
        ended = CounterMetricFamily(f"{PREFIX}_trainings", "Trainings that ended.", labels=["outcome"])
        seconds = CounterMetricFamily(f"{PREFIX}_training_seconds", "Time that trainings took.")
        projects = [self._queue.look(project) for project in self._queue.projects()]
        for outcome in ("finished", "failed", "cancelled"):
            ended.add_metric([outcome], sum(trainings.outcomes[outcome] for trainings in projects))
        seconds.add_metric([], sum(trainings.seconds for trainings in projects))
        yield ended
        yield seconds
        for name, state, text in (
            ("training_queue_length", State.QUEUED, "Projects with a queued job."),
            ("trainings_running", State.STARTED, "Projects that are trained."),
        ):
            jobs = sum(trainings.job_in(state) is not None for trainings in projects)
            yield GaugeMetricFamily(f"{PREFIX}_{name}", text, value=jobs)
        kinds = [started.kind for trainings in projects if (started := trainings.started)]
        for name, kind, text in (
            ("predictions_running", Kind.PREDICTION, "Projects whose tasks are predicted by a job."),
            ("searches_running", Kind.SEARCH, "Projects for which a better recipe is searched."),
        ):
            yield GaugeMetricFamily(f"{PREFIX}_{name}", text, value=kinds.count(kind))
