"""The labeling config: tags, attributes, separators, time formats, and the settings in it."""

from timeseries_segmenter.labeling.config import SEPARATORS
from timeseries_segmenter.labeling.pair_settings import PREFIX, PairSettings
from timeseries_segmenter.labeling.tag import READ
from timeseries_segmenter.labeling.time.directives import COMPOSED, DIRECTIVES
from tools.docs.markdown import kind, shown, table


def attributes() -> str:
    """A table of the attributes that are understood."""
    rows = [
        (f"`{tag.name}`", f"`{name}`", meaning) for tag in READ for name, meaning in tag.attributes.items()
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
