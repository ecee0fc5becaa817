import bz2
import gzip
import io
import lzma
import zipfile

import numpy as np
import pytest
from numpy.typing import NDArray

from timeseries_segmenter.labeling.tables.file_kind import unreadable_kind

CSV = b"time,ax\n" + b"".join(b"%d,%d\n" % (row, row % 7) for row in range(400))


def zipped(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, CSV)
    return content.getvalue()


def saved(array: NDArray[np.float64]) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (gzip.compress(CSV), "a gzip file; Label Studio's editor can't open it either: unpack it"),
        (bz2.compress(CSV), "a bzip2 file"),
        (lzma.compress(CSV), "an xz file"),
        (zipped("s.csv"), "a ZIP archive; Label Studio's editor can't open it either: unpack it"),
        (zipped("xl/workbook.xml"), "an Excel workbook (.xlsx); Label Studio shows series as CSV or JSON"),
        (zipped("a.npy"), "a NumPy .npz file"),
        (saved(np.zeros(3)), "a NumPy .npy file"),
        (b"PAR1\x15\x04\x15\x80" + bytes(100), "a Parquet file; Label Studio shows series as CSV or JSON"),
        (b"ARROW1\x00\x00" + bytes(100), "an Arrow"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
        (b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + b" " * 80 + b"\x00\x01IM", "a MATLAB .mat file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "an old Excel workbook"),
        (b"0       " + b"X X X X".ljust(248) + bytes(100), "an EDF recording"),
        (b"\xffBIOSEMI" + b" " * 300, "a BDF recording"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(100), "a WAV recording"),
        (b"SQLite format 3\x00" + bytes(100), "an SQLite database"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF"),
        (b"\n<!DOCTYPE html><html><title>Log in</title>", "a web page"),
        ("ax,ay\n1,2\n".encode("utf-16"), "UTF-16 text; save it as UTF-8"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><gpx/>', "an XML file"),
    ],
)
def test_a_file_that_is_no_text_of_columns_is_called_by_its_kind(content: bytes, kind: str) -> None:
    assert unreadable_kind(content).startswith(kind)


@pytest.mark.parametrize(
    "content",
    [
        CSV,
        b"",
        b"PAR1,PAR2\n1,2\n",
        b"ORC\n1\n",
        b"ID3,ID4\n1,2\n",
        b"BZh9,b\n1,2\n",
        b"0       1       2\n1       2       3\n" * 20,
        "\ufeffTemperatur;\u00b0C\n1;2\n".encode(),
        "time;\u00b0C\n1;2\n".encode("cp1252"),
        b"time,ax\n0,1\n" + bytes(50),
        b'{"time": [0, 1]}',
    ],
)
def test_text_is_none_of_them(content: bytes) -> None:
    assert unreadable_kind(content) == ""
