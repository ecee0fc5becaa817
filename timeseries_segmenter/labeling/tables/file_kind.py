"""What a file is that is not a text of columns, by its first bytes."""

import os
import re
from io import BufferedReader

ARCHIVES = {
    b"\x1f\x8b": "a gzip file",
    b"\xfd7zXZ\x00": "an xz file",
    b"BZh": "a bzip2 file",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"\x04\x22\x4d\x18": "an LZ4 file",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"PK\x03\x04": "a ZIP archive",
    b"PK\x05\x06": "an empty ZIP archive",
}
TABLES = {
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow (Feather) file",
    b"FEA1": "a Feather file",
    b"ORC": "an ORC file",
    b"Obj\x01": "an Avro file",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file (as .h5, or .mat from MATLAB 7.3 on)",
    b"MATLAB 5.0 MAT-file": "a MATLAB .mat file",
    b"MATLAB 7.3 MAT-file": "a MATLAB .mat file",
    b"CDF\x01": "a NetCDF file",
    b"CDF\x02": "a NetCDF file",
    b"\x93NUMPY": "a NumPy .npy file",
    b"SQLite format 3\x00": "an SQLite database",
    b"\xffBIOSEMI": "a BDF recording",
    b"TDSm": "a TDMS file",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Excel workbook (.xls)",
    b"\x80\x04\x95": "a Python pickle",
    b"\x80\x05\x95": "a Python pickle",
    b"%PDF-": "a PDF",
    b"{\\rtf": "a rich text (RTF) file",
    b"\x89PNG\r\n\x1a\n": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"fLaC": "a FLAC recording",
    b"OggS": "an Ogg recording",
    b"ID3": "an MP3 recording",
}
IN_ZIP = {
    b"xl/": "an Excel workbook (.xlsx)",
    b".npy": "a NumPy .npz file",
    b"mimetype": "an OpenDocument file",
}
BEGINNING = 2000  # bytes that are looked at
_EDF = b"0       "
_EDF_HEADER = 256  # bytes of ASCII
_LEAST_IN_TEXT = 9  # a tab
_UNLIKE_TEXT = {signature: kind for signature, kind in (ARCHIVES | TABLES).items() if not signature.isalnum()}


_MARKUP = re.compile(rb"<!--|<(\w+)[^<>,;\t]*>[^,;\t]*</", re.ASCII)  # names of columns may be <DATE>,<TIME>

_CONVERT = "Label Studio shows series as CSV or JSON: convert it, and import that"
_UNPACK = "Label Studio's editor can't open it either: unpack it, and import the CSV in it"


def beginning_of(content: bytes | memoryview | BufferedReader) -> bytes:
    """The first bytes of a file, in memory or open."""
    if isinstance(content, BufferedReader):
        return os.pread(content.fileno(), BEGINNING, 0)
    return bytes(content[:BEGINNING])


def unreadable_kind(content: bytes) -> str:
    """What a file is that can't be read as a series, and what to do; empty if it may be text.

    Files of text alone are read, as in Label Studio's editor.
    """
    start = content[:BEGINNING]
    if start[:4] == b"RIFF" and start[8:12] == b"WAVE":
        return f"a WAV recording; {_CONVERT}"
    # a column may be called PAR1, but then text follows
    known = ARCHIVES | TABLES if min(start, default=32) < _LEAST_IN_TEXT else _UNLIKE_TEXT
    for signature, kind in known.items():
        if start.startswith(signature):
            if signature not in ARCHIVES:
                return f"{kind}; {_CONVERT}"
            inside = next(
                (name for mark, name in IN_ZIP.items() if signature[:2] == b"PK" and mark in start), ""
            )
            return f"{inside}; {_CONVERT}" if inside else f"{kind}; {_UNPACK}"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16 text; save it as UTF-8"
    if start.startswith(_EDF) and _is_header(start):
        return f"an EDF recording; {_CONVERT}"
    beginning = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if beginning.startswith((b"<!doctype", b"<html")):
        return "a web page, such as one that asks for a login; open the address, and correct it"
    if beginning.startswith(b"<") and (b"<error>" in beginning or _MARKUP.match(beginning)):
        return "a web page, or its server's answer that something is wrong; open the address, and correct it"
    if beginning.startswith(b"<?xml"):
        return f"an XML file; {_CONVERT}"
    return ""


def _is_header(start: bytes) -> bool:
    """Whether a header of plain text without a line end follows the version, as in the EDF standard."""
    header = start[:_EDF_HEADER]
    return len(header) == _EDF_HEADER and header.isascii() and not {10, 13} & {*header}
