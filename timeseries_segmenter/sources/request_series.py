"""The series of one prediction request: what it may read, and for how long it waits."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.label_studio import LabelStudioClient
from timeseries_segmenter.sources.patience import Crowd, Patience
from timeseries_segmenter.sources.task_series import SeriesOfTask, TaskSeries
from timeseries_segmenter.sources.vouching import Vouching

logger = logging.getLogger(__name__)

MOST_NAMED = 10  # tasks in one line of the log


@dataclass(frozen=True, slots=True)
class RequestSources:
    """What the prediction requests of one process share. `seconds` bounds the downloads of one of them."""

    series: TaskSeries
    vouching: Vouching
    crowd: Crowd
    seconds: float

    @classmethod
    def from_settings(cls, settings: Settings, on_cache: Callable[[bool], None]) -> "RequestSources":
        """With Label Studio clients of their own; `on_cache` as in `Downloader`."""
        return cls(
            TaskSeries.from_settings(settings, on_cache),
            Vouching(settings, LabelStudioClient(settings, timeout=settings.download_timeout)),
            Crowd(settings.threads // 2),
            settings.predict_download_timeout,
        )


@dataclass(frozen=True, slots=True)
class RequestSeries:
    """Reads the series of one request, for as long as its client waits for the answer.

    `still_wanted` says whether it does; None if this machine's own code asks, which needs nobody to
    vouch for it. `give_way` is called before each task, and may wait for what goes first.
    """

    sources: RequestSources
    project: int
    config: LabelConfig
    still_wanted: Callable[[], bool] | None
    give_way: Callable[[], None] = lambda: None

    def of_tasks(
        self, tasks: Iterable[Mapping[str, Any]], pairs: Sequence[LabelPair]
    ) -> Iterator[tuple[Mapping[str, Any], SeriesOfTask]]:
        """Tasks in their order, each with its series; ends with a line in the log if the client leaves."""
        tasks = list(tasks)
        still_wanted = self.still_wanted or (lambda: True)
        patience = Patience(self.sources.seconds, still_wanted=still_wanted, crowd=self.sources.crowd)
        voucher = None
        if self.still_wanted:
            voucher = self.sources.vouching.of_request(self.project, self.config, tasks)
        done = 0
        for task, series in self.sources.series.of_tasks(tasks, pairs, patience, voucher):
            if not still_wanted():
                break
            done += 1
            self.give_way()
            yield task, series
        if not still_wanted():
            logger.warning(
                "the client has left after %d of %d tasks, and the rest is not predicted; Label Studio "
                "waits 100 s: retrieve predictions for fewer tasks at a time",
                done - len(patience.late),
                len(tasks),
            )
        elif patience.late:
            logger.warning(
                "no prediction for %d of %d tasks (%s%s): the %g s that downloads of one request may take "
                "were over; retrieve predictions for fewer tasks at a time, see why their hosts are slow, or "
                "raise PREDICT_DOWNLOAD_TIMEOUT",
                len(patience.late),
                len(tasks),
                ", ".join(map(str, patience.late[:MOST_NAMED])),
                ", …" if len(patience.late) > MOST_NAMED else "",
                patience.seconds,
            )
