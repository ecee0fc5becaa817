"""The labeling config: tags, attributes, separators, time formats, and the settings in it."""

from timeseries_segmenter.labeling.config import SEPARATORS
from timeseries_segmenter.labeling.pair_settings import PREFIX, PairSettings
from timeseries_segmenter.labeling.time.formats import COMPOSED
from timeseries_segmenter.labeling.time.moment import DIGITS, NAMES
from tools.docs.markdown import kind, shown, table

# by tag; tests/test_docs.py compares the names with those that labeling/config.py reads
ATTRIBUTES = {
    "TimeSeries": {
        "name": "What `toName` refers to.",
        "value": "Where a task's series is: `$key`, a path into the task's data such as "
        "`$files.motion[0]`, or text around such variables. Needed, unless `valueType` is `json`: then its "
        "absence means that the task's data is itself the series.",
        "valueType": "`url`: the address of a file (default). `json`: the columns themselves, in the task.",
        "sep": "What separates the cells of a line: one character, or a name from the table below; `,` by "
        "default.",
        "timeColumn": "The column that tells the time: its name in any case, or its number. Without it rows "
        "are counted from 0.",
        "timeFormat": "How the time column is written; without it, it holds numbers.",
    },
    "Channel": {
        "column": "A column's name in any case, or its number from 0. A column that is named twice is read "
        "once."
    },
    "TimeSeriesLabels": {
        "name": "What regions refer to.",
        "toName": "The `TimeSeries` that it labels; several with commas between them. Each is learned by a "
        "network of its own.",
        "value": "Where a task lists labels of its own, such as `$labels`; they join those in the config.",
        "choice": "`multiple`: a region may have several labels. Each combination that was drawn is a class "
        "of its own.",
    },
    "Label": {
        "value": "The label's name.",
        "alias": "The name that regions store in its place.",
        "predicted_values": "Other names for the label, with commas between them: regions and models that "
        "use one of them mean this label.",
    },
}
DIRECTIVES = {
    "Y": "year, four digits",
    "y": "year, two digits: 69 to 99 are 1969 to 1999, 00 to 68 are 2000 to 2068",
    "m": "month, 01 to 12",
    "d": "day, 01 to 31",
    "e": "day, padded with a space",
    "H": "hour, 00 to 23",
    "I": "hour, 01 to 12",
    "p": "AM or PM",
    "M": "minute",
    "S": "second",
    "L": "millisecond",
    "f": "microsecond; read and written in whole milliseconds",
    "Q": "milliseconds since 1970",
    "s": "seconds since 1970",
    "Z": "offset from UTC; written as `+0000`",
    "a": "day of the week, short: Sun",
    "A": "day of the week: Sunday",
    "b": "month, short: Jan",
    "B": "month: January",
    "j": "day of the year, 001 to 366",
    "q": "quarter, 1 to 4",
    "w": "day of the week, 0 is Sunday",
    "u": "day of the week, 1 is Monday",
    "U": "week of the year, from the first Sunday",
    "W": "week of the year, from the first Monday",
    "V": "week, ISO 8601",
    "G": "year of the ISO week",
    "g": "year of the ISO week, two digits",
}


def attributes() -> str:
    """A table of the attributes that are understood."""
    rows = [
        (f"`{tag}`", f"`{name}`", told) for tag, names in ATTRIBUTES.items() for name, told in names.items()
    ]
    return table(("Tag", "Attribute", ""), rows)


def model_settings() -> str:
    """A table of the `model_…` attributes."""
    properties = PairSettings.model_json_schema()["properties"]
    rows = [
        (
            f"`{PREFIX}{name}`",
            kind(properties[name]).removesuffix(" or null"),
            shown(field.default) or "the service's",
            field.description or "",
        )
        for name, field in PairSettings.model_fields.items()
    ]
    return table(("Attribute", "Value", "Default", ""), rows)


def separators() -> str:
    """A table of the names for separators."""
    spelled = {"\t": "a tab", " ": "a space", ",": "a comma", ".": "a dot", "auto": "guessed from the file"}
    rows = [(f"`{name}`", spelled[character]) for name, character in SEPARATORS.items() if name]
    return table(("`sep`", ""), rows)


def time_format() -> str:
    """A table of directives. Raises KeyError where one is described nowhere."""
    simple = [(f"`%{each}`", DIRECTIVES[each]) for each in DIRECTIVES if each in {*NAMES, *DIGITS, "Z"}]
    left_out = {*NAMES, *DIGITS, "Z"} - DIRECTIVES.keys()
    if left_out or len(simple) < len(DIRECTIVES):
        raise KeyError(f"tools/docs/labeling_config.py: {left_out or 'too many'} in DIRECTIVES")
    composed = [(f"`%{name}`", f"the same as `{form}`") for name, form in COMPOSED.items()]
    return table(("Directive", ""), [*simple, *composed])
