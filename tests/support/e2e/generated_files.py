"""Tables as files of separated values, with the oddities that files have. Made by chance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.support.e2e.generated_table import Column, Table, Task

NOTES = (
    *(
        "walks",
        "",
        "a b",
        "ok!",
        '"quoted"',
        '"with {sep} inside"',
        '"says ""hi"""',
        "21 °C",
        "naïve",
        "O'Neill",
    ),
    *('5" pipe', '"', '"opens a quote', 'closes it"', '""', '"a" b'),
)
PLAIN_NOTES = 10  # the others have quotation marks where none belong


@dataclass
class File:
    """How a table is written down. An oddity changes it a little, and says so in the table's `kinds`."""

    table: Table
    note: Column | None = None
    separator: str = ","
    sep: str = ""
    header: bool = True
    encoding: str = "utf-8"
    line_end: str = "\n"
    before_line: str = ""
    behind_line: str = ""
    behind_cell: str = ""
    begin: str = ""
    end: str = "\n"
    blank_lines: set[int] = field(default_factory=set)

    @property
    def columns(self) -> list[Column]:
        return [column for column in (self.table.time, *self.table.channels, self.note) if column]


def make_file(random: Random, table: Table, address: str) -> Task:
    file = File(table)
    _choose_separator(random, file)
    if random.random() < 0.35:
        file.note = _note(random, file)
    for oddity in ODDITIES:
        if random.random() < 0.07 and (kind := oddity(random, file)):
            table.kinds.append(kind)
    columns = file.columns
    if random.random() < 0.2:
        random.shuffle(columns)
        table.kinds.append("columns in another order")
    _refer(random, file, columns)
    attributes = {"sep": file.sep} if file.sep else {}
    return Task({"csv": address}, _bytes(file, columns), {"value": "$csv"} | attributes)


def _choose_separator(random: Random, file: File) -> None:
    """One that is in no cell, by one of its names; now and then it is left to be guessed."""
    cells = {cell for column in file.columns for cell in column.cells}
    free = [each for each in ",,,;\t |" if not any(each in cell for cell in cells)] or [","]
    if any(not cell.strip() for cell in cells):  # which the editor loses count of between these
        free = [each for each in free if each not in " |"] or [","]
    file.separator = random.choice(free)
    names = {",": ["", "", ",", "comma"], ";": [";", "; "], "\t": ["tab", "\\t", "\t"], " ": ["space", " "]}
    file.sep = random.choice(names.get(file.separator, [file.separator]))
    if file.separator != "|" and random.random() < 0.15:
        file.sep = "auto"
    if file.sep:
        file.table.kinds.append(f"sep {file.sep!r}")


def _note(random: Random, file: File) -> Column:
    """A column of text that is not a channel."""
    odd = random.random() < 0.3
    notes = NOTES if odd else NOTES[:PLAIN_NOTES]
    if file.separator in " \t|":  # the editor loses count of empty cells between these
        notes = tuple(note for note in notes if note and (file.separator == "|" or " " not in note))
    chosen = random.sample(notes, min(3, len(notes)))
    cells = [random.choice(chosen).replace("{sep}", file.separator) for _ in range(file.table.rows)]
    file.table.kinds.append("stray quotation marks" if odd else "a column of text")
    return Column("note", cells)


def _refer(random: Random, file: File, columns: Sequence[Column]) -> None:
    """By name, in another case, or by number; the editor takes no number for a time column with a name."""
    way = random.choice(["same", "same", "same", "another case", "number"]) if file.header else "number"
    for place, column in enumerate(columns):
        column.reference = column.name if way == "same" else column.name.upper()
        if not file.header or (way == "number" and column is not file.table.time):
            column.reference = str(place)
    if file.header and way != "same":
        file.table.kinds.append(f"columns named by {way}")


def _bytes(file: File, columns: Sequence[Column]) -> bytes:
    rows = [list(row) for row in zip(*(column.cells for column in columns), strict=True)]
    if file.header:
        rows.insert(0, [column.name for column in columns])
    joint = file.behind_cell + file.separator
    lines = [file.before_line + joint.join(row) + file.behind_line for row in rows]
    for place in sorted(file.blank_lines, reverse=True):
        lines.insert(place, "")
    text = file.begin + file.line_end.join(lines) + file.end.replace("\n", file.line_end)
    return text.encode(file.encoding, "replace")


def _no_header(_: Random, file: File) -> str:
    file.header = False
    return "no header"


def _quoted_header(_: Random, file: File) -> str:
    """Quoted in file and config, which is how the editor finds them."""
    for column in file.columns:
        column.name = f'"{column.name}"'
    return "quoted header"


def _another_encoding(random: Random, file: File) -> str:
    file.encoding = random.choice(["utf-8-sig", "utf-8-sig", "cp1252"])
    return file.encoding


def _another_line_end(random: Random, file: File) -> str:
    file.line_end = random.choice(["\r\n", "\r\n", "\r\n", "\r"])
    return f"line end {file.line_end!r}"


def _blanks_around_lines(random: Random, file: File) -> str:
    blanks = [" ", "  ", "\t"]
    where = random.choice(["before", "behind", "both"])
    if where != "behind":
        file.before_line = random.choice(blanks)
    if where != "before":
        file.behind_line = random.choice(blanks)
    return f"lines between {file.before_line!r} and {file.behind_line!r}"


def _blanks_behind_cells(_: Random, file: File) -> str:
    if file.separator in " \t":
        return ""
    file.behind_cell = " "
    return "blanks behind cells"


def _padded_cells(random: Random, file: File) -> str:
    """Cells of one width, as Fortran writes them."""
    if file.separator == " ":
        return ""
    right = random.random() < 0.7
    for column in file.table.channels:
        width = max(map(len, column.cells)) + 1
        column.cells = [cell.rjust(width) if right else cell.ljust(width) for cell in column.cells]
    return f"cells padded on the {'left' if right else 'right'}"


def _blank_lines(random: Random, file: File) -> str:
    rows = file.table.rows
    file.blank_lines = set(random.sample(range(1, rows + 1), min(2, rows)))
    return "blank lines"


def _begin(random: Random, file: File) -> str:
    file.begin = random.choice(["\n", "  ", "\ufeff"])
    return f"begins with {file.begin!r}"


def _end(random: Random, file: File) -> str:
    file.end = random.choice(["", "", "\n\n\n", "\n  \n", "\0\0\0", "\n\0\0", "\n\x1a", "\n1"])
    if file.end[:1] == "\0":
        for column in file.table.channels:  # it is part of the last cell
            column.missing.add(file.table.rows - 1)
    return f"ends with {file.end!r}"


def _separator_at_line_ends(_: Random, file: File) -> str:
    file.behind_line = file.separator
    return "a separator at each line's end"


def _quoted_numbers(random: Random, file: File) -> str:
    column = random.choice(file.table.channels)
    column.cells = [f'"{cell}"' for cell in column.cells]
    column.missing = set(range(len(column.cells)))
    return "numbers in quotes"


def _decimal_commas(random: Random, file: File) -> str:
    column = random.choice(file.table.channels)
    column.cells = [cell.replace(".", ",") for cell in column.cells]
    column.missing = set(range(len(column.cells)))
    return "decimal commas"


def _one_name_twice(random: Random, file: File) -> str:
    """A channel's name is above another column too."""
    if not file.note:
        return ""
    file.note.name = random.choice(file.table.channels).name
    return "two columns of one name"


ODDITIES: tuple[Callable[[Random, File], str], ...] = (
    *(_no_header, _no_header, _quoted_header, _another_encoding, _another_line_end, _blanks_around_lines),
    *(_blanks_behind_cells, _padded_cells, _blank_lines, _begin, _end, _separator_at_line_ends),
    *(_quoted_numbers, _decimal_commas, _one_name_twice),
)
