"""Where the service reads what Label Studio's editor refuses, or the other way round, and why.

Each reason is in docs/reference/labeling-config.md too.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """Known by the words of the refusal and by the kinds of the example, both regular expressions."""

    reason: str
    words: str
    kinds: str = ""


NO_COLUMN = "there is no (column|series)"

READ_ALL_THE_SAME = (
    Difference(
        "A file of one column, or with a blank line before its first: the editor misses the separator.",
        words="Cannot find provided separator",
    ),
    Difference(
        "A file whose lines end in a carriage return alone: the editor sees one line.",
        words="reading 'trim'",
        kinds=r"line end '\\r'",
    ),
    Difference(
        "A file of one line: the editor looks at the second.",
        words="reading 'trim'",
        kinds="no header",
    ),
    Difference(
        '`sep="auto"`: the editor wants a second line with one kind of separator in it, blanks included.',
        words=f"More than one possible|Different amount of elements|{NO_COLUMN}|reading '(match|length)'",
        kinds="sep 'auto'",
    ),
    Difference(
        "Blank lines behind the first line, and blanks around the names of columns.",
        words=f"Column names count differs|{NO_COLUMN}|of null",
        kinds="blank lines|blanks behind cells|cells padded",
    ),
    Difference(
        "Blanks or quotation marks around a time that has a `timeFormat`.",
        words="cannot be parsed|must be incremental",
        kinds="blanks behind cells",
    ),
    Difference(
        "NUL bytes behind the last line.",
        words="cannot be parsed|must be incremental",
        kinds=r"ends with '\\n\\x00",
    ),
    Difference(
        "A quotation mark too many outside the channels: the editor sees another number of cells.",
        words="reading 'push'|Column names count differs",
        kinds="stray quotation marks",
    ),
    Difference(
        "A header above a row without any number: the editor takes it for a row.",
        words=NO_COLUMN,
        kinds="missing|numbers in quotes|decimal commas",
    ),
    Difference(
        "No header, and text above or below a number in the first two rows: the editor sees a header.",
        words=NO_COLUMN,
        kinds="no header",
    ),
    Difference(
        '`sep="|"` beside empty cells and cells in quotes: the editor counts other cells.',
        words="reading 'push'|Column names count differs|must be incremental|cannot be parsed",
        kinds=r"sep '\\|'",
    ),
    Difference(
        "Names of columns that are not UTF-8.",
        words=NO_COLUMN,
        kinds="cp1252",
    ),
    Difference(
        'JSON as text under `valueType="json"`: Label Studio 1.23 takes the text for the columns.',
        words=NO_COLUMN,
        kinds="JSON, text",
    ),
    Difference(
        "Times as text in JSON, without a `timeFormat`: the editor compares them letter by letter.",
        words="must be incremental",
        kinds="numbers as text",
    ),
    Difference(
        "A channel of nulls alone in JSON: the editor's page stops.",
        words="TypeError: Cannot read properties of undefined",
        kinds="missing .*JSON",
    ),
    Difference(
        "Dates such as `28.06.2024`: Label Studio 1.23 takes `.06` for a fraction of a second.",
        words=r"cannot be parsed.*\d\d\.\d\d\.\d{4}",
        kinds="days|date and clock",
    ),
    Difference(
        "Times of which two among the first three are 0.",
        words=r"cannot be parsed.*values: \S*0\b",
        kinds="equal stamps|epoch",
    ),
)

REFUSED_ALL_THE_SAME = (
    Difference(
        "Text in a channel that doesn't say that a value is missing: the editor draws nothing there.",
        words="is not a number",
        kinds=r"missing|decimal commas|numbers in quotes|ends with '\\n(1|\\x1a)'",
    ),
    Difference(
        "No value in any channel and row: the editor draws nothing.",
        words="no channel has a value in any row",
    ),
    Difference(
        "A line with fewer cells than the first, other than a last one cut off: the editor moves cells up.",
        words=r"has \d+ cells, and the first line",
    ),
    Difference(
        "A stray quotation mark that moves the cells behind it: the editor draws what is there then.",
        words="has a quotation mark",
        kinds="stray quotation marks",
    ),
    Difference(
        "A time that can't be read: the editor takes it for 0.",
        words="is not a time|is not a number",
        kinds=r"damaged|epoch seconds with a fraction|ends with '\\n(1|\\x1a)'",
    ),
    Difference(
        "Two columns of one name that a channel or the time has: the editor mixes their cells.",
        words="several columns are called",
        kinds="two columns of one name|no header",
    ),
    Difference(
        'Columns by number with `sep="|"` or `sep="."`: the editor counts an empty column behind each.',
        words="counts columns differently",
        kinds=r"sep '\|'",
    ),
    Difference(
        "JSON of many lists with a few cells each: the editor takes rows for columns.",
        words="look like rows",
    ),
)


def is_known(differences: Sequence[Difference], words: str, kinds: Iterable[str]) -> bool:
    listed = ", ".join(kinds)
    return any(re.search(each.words, words) and re.search(each.kinds, listed) for each in differences)
