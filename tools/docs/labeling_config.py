"""The labeling config: tags, attributes, separators, time formats, and the settings in it."""

from timeseries_segmenter.labeling.config import SEPARATORS
from timeseries_segmenter.labeling.pair_settings import PREFIX, PairSettings
from timeseries_segmenter.labeling.time.directives import COMPOSED, DIRECTIVES
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
    """A table of directives."""
    simple = [(f"`%{each.letter}`", each.meaning) for each in DIRECTIVES.values()]
    composed = [(f"`%{letter}`", f"the same as `{form}`") for letter, form in COMPOSED.items()]
    return table(("Directive", ""), [*simple, *composed])
