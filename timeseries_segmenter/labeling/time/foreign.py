"""Time formats of other languages in d3's words, for the advice that a message gives."""

import re

# directives of strftime that d3 lacks
STRFTIME = {
    "D": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "h": "%b",
    "k": "%_H",
    "l": "%_I",
    "P": "%p",
    "R": "%H:%M",
    "r": "%I:%M:%S %p",
    "T": "%H:%M:%S",
    "z": "%Z",
}
# letters of Java, moment.js and spreadsheets, longest first
LETTERS = {
    "YYYY": "%Y",
    "yyyy": "%Y",
    "MMMM": "%B",
    "MMM": "%b",
    "SSSSSS": "%f",
    "SSS": "%L",
    "YY": "%y",
    "yy": "%y",
    "MM": "%m",
    "DD": "%d",
    "dd": "%d",
    "HH": "%H",
    "hh": "%I",
    "mm": "%M",
    "ss": "%S",
    "XXX": "%Z",
    "ZZ": "%Z",
    "'T'": "T",
    "[T]": "T",
    "A": "%p",
    "a": "%p",
    "Z": "%Z",
}
_LETTERS = re.compile("|".join(map(re.escape, LETTERS)))
_YEAR = re.compile("[Yy]{2}")


def translate_letters(text: str) -> str:
    """A format of letters, such as `YYYY-MM-DD`, by directives; empty if it looks like none."""
    return _LETTERS.sub(lambda match: LETTERS[match[0]], text) if _YEAR.search(text) else ""
