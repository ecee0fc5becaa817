"""The program in a portable model's folder: CSV files in, their regions out."""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from timeseries_segmenter.errors import SegmenterError, SeriesError
from timeseries_segmenter.labeling.series import parse_series
from timeseries_segmenter.labeling.tables.column_table import ColumnTable
from timeseries_segmenter.portable.model import PortablePair, load_model
from timeseries_segmenter.portable.plain_csv import PlainCsvTable
from timeseries_segmenter.segment import label_set_name

COLUMNS = ("file", "tag", "start", "end", "labels", "score", "instant")
DIGITS = 4  # of scores
READERS = (ColumnTable.from_content, PlainCsvTable.from_content)


def main(folder: Path, arguments: Sequence[str] | None = None) -> int:
    """Print the regions of files; the exit status is 1 if one could not be read."""
    parser = argparse.ArgumentParser(description="Predict the regions of series in CSV files.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--series", metavar="NAME", help="the TimeSeries that the files are, of several")
    options = parser.parse_args(arguments)
    failed = False
    try:
        pairs = _pairs_of_one_series([*load_model(folder).pairs.values()], options.series)
    except SegmenterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(",".join(COLUMNS) + "\n")
    for path in options.files:
        try:
            _print_regions(path, pairs, sys.stdout)
        except (OSError, SegmenterError) as error:
            failed = True
            sys.stderr.write(f"no prediction: {path}: {error}\n")
    return int(failed)


def _pairs_of_one_series(pairs: Sequence[PortablePair], name: str | None) -> list[PortablePair]:
    names = list(dict.fromkeys(pair.series for pair in pairs))
    if (name is None and len(names) > 1) or (name is not None and name not in names):
        raise SeriesError(f"the model knows the series {', '.join(names)}; name one with --series")
    return [pair for pair in pairs if name in (None, pair.series)]


def _print_regions(path: Path, pairs: Sequence[PortablePair], output: TextIO) -> None:
    content = path.read_bytes()
    rows: list[tuple[object, ...]] = []
    for pair in pairs:
        series = parse_series(content, pair, readers=READERS)
        segments = pair.segments_of(series)
        ends = series.time.start_ends([(segment.first, segment.last) for segment in segments])
        for segment, (start, end) in zip(segments, ends, strict=True):
            score, instant = round(segment.score, DIGITS), str(start == end).lower()
            rows.append((path, pair.tag, start, end, label_set_name(segment.labels), score, instant))
    csv.writer(output, lineterminator="\n").writerows(rows or [(path, *[""] * (len(COLUMNS) - 1))])
