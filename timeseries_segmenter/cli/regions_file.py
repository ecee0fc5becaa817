"""Regions of many files in one: as a table, one row a region, or as JSON, one line a file."""

import csv
import errno
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Protocol

from timeseries_segmenter.errors import ExportError
from timeseries_segmenter.labeling.time.axis import Time
from timeseries_segmenter.segment import LabelSet, label_set_name
from timeseries_segmenter.storage.files import replace_file

DIGITS = 4  # of scores


@dataclass(frozen=True, slots=True)
class FileRegion:
    """A predicted region: `tag` is the TimeSeriesLabels, `start` and `end` are in the series' own time."""

    tag: str
    start: Time
    end: Time
    labels: LabelSet
    score: float
    instant: bool


@dataclass(frozen=True, slots=True)
class FilePrediction:
    """What is predicted of one file, by which version, and how sure that is of the whole, from 0 to 1."""

    file: str
    model_version: str
    score: float
    regions: Sequence[FileRegion]


class RegionsForm(Protocol):
    """How predictions are written: a `header`, and text of each file that ends with a line."""

    header: str

    def text(self, prediction: FilePrediction) -> str:
        """What is written of one file."""

    def whole_files(self, written: str) -> Mapping[str, str]:
        """Files whose predictions are whole in what follows the header, with their text.

        Raises ValueError or LookupError if something else was written.
        """


class RegionsTable(RegionsForm):
    """CSV: a row for each region; a file without any has one with its name alone."""

    header = f"file,{','.join(field.name for field in fields(FileRegion))}\n"

    def text(self, prediction: FilePrediction) -> str:
        """See `RegionsForm`."""
        rows = [
            (
                prediction.file,
                *(each.tag, each.start, each.end, label_set_name(each.labels)),
                round(each.score, DIGITS),
                str(each.instant).lower(),
            )
            for each in prediction.regions
        ]
        empty = (prediction.file, *[""] * len(fields(FileRegion)))
        return _csv(rows or [empty])

    def whole_files(self, written: str) -> dict[str, str]:
        """See `RegionsForm`; of rows that were cut off, the last whole ones may be of the same file."""
        rows = list(csv.reader(io.StringIO(written, newline="")))
        files: dict[str, list[list[str]]] = {}
        for row in rows if written.endswith("\n") else rows[:-1]:
            files.setdefault(row[0], []).append(row)
        if files and not written.endswith("\n"):
            files.popitem()
        return {name: _csv(of_file) for name, of_file in files.items()}


class RegionsLines(RegionsForm):
    """JSON Lines: an object for each file."""

    header = ""

    def text(self, prediction: FilePrediction) -> str:
        """See `RegionsForm`."""
        rounded = asdict(prediction) | {"score": round(prediction.score, DIGITS)}
        rounded["regions"] = [each | {"score": round(each["score"], DIGITS)} for each in rounded["regions"]]
        return json.dumps(rounded, ensure_ascii=False, allow_nan=False) + "\n"

    def whole_files(self, written: str) -> dict[str, str]:
        """See `RegionsForm`."""
        lines = written.split("\n")[:-1]  # behind the last line end is nothing, or what was cut off
        return {str(json.loads(line)["file"]): f"{line}\n" for line in lines}


FORMS: Mapping[str, RegionsForm] = {".csv": RegionsTable(), ".jsonl": RegionsLines()}


class RegionsFile:
    """A file of predictions, in the form that its name says. Raises ExportError for another name."""

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() not in FORMS:
            raise ExportError(
                f"{path} should end with {' or '.join(FORMS)}: regions are written as one of these"
            )
        self._path = path
        self._form = FORMS[path.suffix.lower()]

    def write(self, predictions: Iterable[FilePrediction]) -> None:
        """Write it anew. Raises ExportError."""
        self._replace("".join(map(self._form.text, predictions)))

    def resume(self) -> list[str]:
        """The files whose predictions it holds already; what a killed process left of another one is removed.

        Raises ExportError if it can't be read or written, or is another kind of file.
        """
        if not self._path.exists():
            self._replace("")
            return []
        try:
            text = self._path.read_bytes().decode()
            if not text.startswith(self._form.header):
                raise ValueError("it has another header")
            written = text.removeprefix(self._form.header)
            files = self._form.whole_files(written)
        except OSError as error:
            raise ExportError(f"{self._path} can't be read: {error.strerror}") from error
        except (ValueError, LookupError, TypeError, csv.Error) as error:
            raise ExportError(
                f"{self._path} does not hold predicted regions ({error}); name another file"
            ) from error
        if not written.endswith("\n"):
            self._replace("".join(files.values()))
        return list(files)

    def append(self, prediction: FilePrediction) -> None:
        """Add what is predicted of one more file, in one piece. Raises ExportError."""
        content = self._form.text(prediction).encode()
        try:
            with self._path.open("ab", buffering=0) as file:
                if file.write(content) != len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise ExportError(f"{self._path} can't be written: {error.strerror}") from error

    def _replace(self, text: str) -> None:
        try:
            replace_file(self._path, lambda path: path.write_bytes((self._form.header + text).encode()))
        except OSError as error:
            raise ExportError(f"{self._path} can't be written: {error.strerror}") from error


def _csv(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
