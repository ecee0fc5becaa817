"""Series that were parsed before, as arrays on disk that are mapped into memory."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter import __version__
from timeseries_segmenter.labeling.series import READING, Series, TimeAxis
from timeseries_segmenter.labeling.tables.table import FileForm
from timeseries_segmenter.labeling.time.formats import TimeFormat
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.cache_folder import CacheFolder


class SeriesCache:
    """Keeps series by the identity of the file that they were read from, and by how they were read.

    Each is one or two `.npy` files, which others may make room for at any time. Pages of a mapped series that
    nobody uses take no memory, and what is written into it stays in the process.
    """

    def __init__(self, folder: Path, capacity: int) -> None:
        self._files = CacheFolder(folder, capacity)

    @classmethod
    def from_settings(cls, settings: Settings) -> "SeriesCache | None":
        """Next to the downloads, and bounded together with them; None if nothing is to be kept."""
        if not settings.cache_mb:
            return None
        return cls(settings.series_cache_dir, settings.cache_mb * 1_000_000)

    def get(self, identity: str, form: FileForm) -> Series | None:
        """The series that a file holds; None if it is not kept."""
        values_name, times_name = _names(identity, form)
        try:
            values = self._map(values_name)
            is_counted = form.time_column is None
            stamps = np.arange(len(values), dtype=np.float64) if is_counted else self._map(times_name)
            self._files.use(values_name, *([] if is_counted else [times_name]))
        except (OSError, ValueError, EOFError):  # none, or half of one
            return None
        if values.shape != (len(stamps), len(form.channels)) or not len(values):
            return None
        time_format = TimeFormat(form.time_format) if form.time_format and not is_counted else None
        return Series(values, form.channels, TimeAxis(stamps, time_format, is_counted=is_counted))

    def put(self, identity: str, form: FileForm, series: Series) -> Series:
        """Keep a series; returns it as it is kept, or as it is if it can't be."""
        values_name, times_name = _names(identity, form)
        kept = self._write(values_name, series.values)
        if kept and not series.time.is_counted:
            kept = self._write(times_name, series.time.stamps)
        return (self.get(identity, form) if kept else None) or series

    def holds(self, identity: str, form: FileForm) -> bool:
        """Whether a series is kept."""
        return (self._files.folder / _names(identity, form)[0]).exists()

    def _map(self, name: str) -> NDArray[Any]:
        # "c": code that writes into a series, or hands it to torch, need not know where it lies
        return np.asarray(np.load(self._files.folder / name, mmap_mode="c", allow_pickle=False))

    def _write(self, name: str, array: NDArray[Any]) -> bool:
        return self._files.write(name, array.nbytes, lambda file: np.save(file, array, allow_pickle=False))


def _names(identity: str, form: FileForm) -> tuple[str, str]:
    """The files of values and times, by all that decides how a file is read."""
    how = (
        __version__,
        READING,
        identity,
        form.value_type,
        form.separator,
        form.time_column,
        form.time_format,
        form.channels,
    )
    name = hashlib.sha256(json.dumps(how).encode()).hexdigest()
    return f"{name}.values.npy", f"{name}.times.npy"
