"""`predict` on plain files: their names or a folder in, a file of regions out."""

import argparse
import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryFile

from tqdm import tqdm

from timeseries_segmenter.cli.inputs import for_files, read_label_config, read_model, read_segmenters
from timeseries_segmenter.cli.regions_file import FilePrediction, FileRegion, RegionsFile
from timeseries_segmenter.cli.watched_folder import WatchedFolder
from timeseries_segmenter.errors import ExportError, SegmenterError, SeriesError
from timeseries_segmenter.labeling.regions import predicted_segments
from timeseries_segmenter.labeling.series import parse_series
from timeseries_segmenter.project.prediction import PairSegmenter
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.export_file import check_writable
from timeseries_segmenter.words import counted

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 2.0  # at a folder: who writes a file pauses for less


class FilePredictor:
    """Predicts the regions of files that are one TimeSeries of a labeling config each."""

    def __init__(self, options: argparse.Namespace, settings: Settings) -> None:
        model = read_model(options.model, settings.device)
        segmenters = read_segmenters(model, read_label_config(options.config, model), options)
        self._version = model.version
        self._segmenters = [for_files(each) for each in _of_one_series(segmenters, options)]
        self._most_megabytes = settings.max_series_mb

    def predict(self, path: Path, name: str) -> FilePrediction | None:
        """The regions of a file that the output calls `name`; None if it can't be read, as the log says."""
        try:
            return self._predict(path, name)
        except SegmenterError as error:
            logger.warning("no prediction: %s", error)
        except Exception:
            logger.exception("no prediction for %s", path)  # one bad file must not cost the others
        return None

    def _predict(self, path: Path, name: str) -> FilePrediction:
        regions: list[FileRegion] = []
        scores: list[float] = []
        for each in self._segmenters:
            with _opened(path, self._most_megabytes) as file:
                try:
                    series = parse_series(file, each.pair, spill=TemporaryFile)
                except SeriesError as error:
                    raise SeriesError(f"{path}: {error}") from error
                except OSError as error:
                    raise SeriesError(f"{path} can't be read: {error.strerror}") from error
            segmentation = each.predict(series)
            scores.append(segmentation.confidence)
            segments = predicted_segments(segmentation.segments, each.pair)
            ends = series.time.start_ends([(segment.first, segment.last) for segment in segments])
            regions += [
                FileRegion(each.pair.from_name, start, end, segment.labels, segment.score, start == end)
                for segment, (start, end) in zip(segments, ends, strict=True)
            ]
        return FilePrediction(name, self._version, min(scores), regions)


def predict_files(options: argparse.Namespace, settings: Settings) -> None:
    """Predict the files that the options name. Raises ExportError if some could not be read."""
    output = RegionsFile(options.output)
    check_writable(options.output, *filter(None, (options.config, options.model)), *options.files)
    predictor = FilePredictor(options, settings)
    shown = tqdm(options.files, "predicting", unit=" files", disable=None)
    predicted = [each for path in shown if (each := predictor.predict(path, str(path)))]
    failed = len(options.files) - len(predicted)
    if not predicted:
        raise ExportError(f"none of {counted(failed, 'file')} could be read, see above")
    output.write(predicted)
    regions = sum(len(each.regions) for each in predicted)
    print(f"{options.output}: {counted(len(predicted), 'file')}, {counted(regions, 'region')}")
    if failed:
        raise ExportError(f"{failed} of {counted(len(options.files), 'file')} could not be read, see above")


def watch_folder(options: argparse.Namespace, settings: Settings) -> None:
    """Predict files as they appear in a folder, each once, until SIGINT or SIGTERM."""
    output = RegionsFile(options.output)
    check_writable(options.output, *filter(None, (options.config, options.model)))
    predictor = FilePredictor(options, settings)
    folder = WatchedFolder(options.watch, output.resume())
    print(
        f"{options.watch}: watched; {options.output} holds {counted(len(folder.done), 'file')} already",
        flush=True,
    )
    if options.output.resolve().parent == options.watch.resolve():
        folder.done.add(options.output.name)
    with _asked_to_end() as end:
        while not end.is_set():
            for path in folder.settled_files():
                if prediction := predictor.predict(path, path.name):
                    output.append(prediction)
                    folder.done.add(path.name)
                    print(f"{path.name}: {counted(len(prediction.regions), 'region')}", flush=True)
                if end.is_set():
                    break
            end.wait(SECONDS_BETWEEN_LOOKS)


@contextmanager
def _asked_to_end() -> Iterator[threading.Event]:
    """Set once a signal asks the process to end; what it is at is finished first."""
    end = threading.Event()
    before = {each: signal.signal(each, lambda *_: end.set()) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield end
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _of_one_series(segmenters: Sequence[PairSegmenter], options: argparse.Namespace) -> list[PairSegmenter]:
    """Those of the TimeSeries that the files are. Raises ExportError if it has to be named."""
    names = list(dict.fromkeys(each.pair.to_name for each in segmenters))
    if options.series is None and len(names) > 1:
        raise ExportError(f"{options.model} knows the series {', '.join(names)}; name one with --series")
    chosen = [each for each in segmenters if options.series in (None, each.pair.to_name)]
    if not chosen:
        raise ExportError(f"{options.model} knows no series {options.series}, but {', '.join(names)}")
    return chosen


def _opened(path: Path, most_megabytes: int) -> BufferedReader:
    try:
        if not path.is_file() and path.exists():  # a pipe or a device may have no end
            raise SeriesError(f"{path} is not a file")
        if path.stat().st_size > most_megabytes * 1_000_000:
            raise SeriesError(f"{path} is larger than MAX_SERIES_MB={most_megabytes}")
        return path.open("rb")
    except OSError as error:
        raise SeriesError(f"{path} can't be read: {error.strerror}") from error
