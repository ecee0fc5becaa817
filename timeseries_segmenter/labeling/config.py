"""The labeling config: which channels are learned, which labels, and how time is written."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from timeseries_segmenter.errors import LabelConfigError, SeriesError, TimeFormatError
from timeseries_segmenter.labeling.time_format import TimeFormat

_SEPARATORS = {
    "": ",",
    "tab": "\t",
    "\\t": "\t",
    "space": " ",
    "comma": ",",
    "dot": ".",
    "auto": "auto",
}
_VARIABLE = re.compile(r"\$([\w\[\].{}]+)")


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """One `TimeSeriesLabels` and the `TimeSeries` that it labels.

    `value` stands as written (`"$csv_url"`), `""` where the whole task is the series.
    `separator` is one character or `"auto"`. `channels` are column names as written, or
    column numbers from 0 where they are all digits. `labels` are the names that regions
    store: a label's alias if it has one, else its value. `pairs` counts the usable
    `TimeSeriesLabels` and `TimeSeries` pairs of the config; this is the first of them.
    """

    from_name: str
    to_name: str
    value: str
    value_type: str
    separator: str
    time_column: str | None
    time_format: str | None
    channels: tuple[str, ...]
    labels: tuple[str, ...]
    pairs: int = 1

    def find_value(self, data: Mapping[str, object]) -> object:
        """What `value` refers to in a task's data: a URL, or the series itself.

        `$key`, a path such as `$a.b[0]`, a key with dots in it, or text around such
        variables; text without a `$` is itself the value, and no `value` is all the data.

        Raises:
            SeriesError: the data has nothing under that key.

        """
        if not self.value:
            return data
        if self.value.startswith("$") and data.get(self.value[1:]) is not None:
            return data[self.value[1:]]
        if whole := _VARIABLE.fullmatch(self.value):
            return _look_up(data, whole[1])
        return _VARIABLE.sub(lambda variable: str(_look_up(data, variable[1])), self.value)


def parse_label_config(xml: str) -> LabelConfig:
    """Read a labeling config, and take its first usable pair of tags.

    Raises:
        LabelConfigError: no `TimeSeriesLabels` is usable; the message says what is missing.

    """
    if not xml.strip():
        raise LabelConfigError("The labeling config is empty; save one in the project's settings.")
    try:
        root = fromstring(xml.strip(), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise LabelConfigError(f"The labeling config is not usable XML: {error}.") from error
    all_series: dict[str, Element] = {}
    for tag in _tags(root, "timeseries"):
        all_series.setdefault(_attributes(tag).get("name", ""), tag)
    controls = list(_tags(root, "timeserieslabels"))
    if not controls:
        raise LabelConfigError(
            "The labeling config has no TimeSeriesLabels tag; add one whose toName is a TimeSeries."
        )
    usable: list[LabelConfig] = []
    problems: list[LabelConfigError] = []
    for control in controls:
        try:
            usable.extend(_pairs(control, all_series))
        except LabelConfigError as problem:
            problems.append(problem)
    if not usable:
        raise problems[0]
    return replace(usable[0], pairs=len(usable))


def _pairs(control: Element, all_series: Mapping[str, Element]) -> list[LabelConfig]:
    attributes = _attributes(control)
    name = attributes.get("name", "")
    if not name:
        raise LabelConfigError("A TimeSeriesLabels tag has no name; give it one.")
    wanted = [part.strip() for part in attributes.get("toname", "").split(",") if part.strip()]
    targets = [target for target in wanted if target in all_series]
    if not targets:
        there = ", ".join(f'"{key}"' for key in all_series) or "none"
        raise LabelConfigError(
            f'TimeSeriesLabels "{name}" has toName="{attributes.get("toname", "")}", which is no TimeSeries; '
            f"the config's TimeSeries names: {there}."
        )
    labels = [_attributes(tag) for tag in _tags(control, "label")]
    names = tuple(dict.fromkeys(filter(None, (tag.get("alias") or tag.get("value") for tag in labels))))
    if not names:
        raise LabelConfigError(
            f'TimeSeriesLabels "{name}" has no Label with a value; list its labels in the config '
            "(labels that come from each task's data can't be learned)."
        )
    usable: list[LabelConfig] = []
    problems: list[LabelConfigError] = []
    for target in targets:
        try:
            usable.append(_pair(name, target, all_series[target], names))
        except LabelConfigError as problem:
            problems.append(problem)
    if not usable:
        raise problems[0]
    return usable


def _pair(name: str, target: str, series: Element, labels: tuple[str, ...]) -> LabelConfig:
    attributes = _attributes(series)
    value = attributes.get("value", "").strip()
    value_type = attributes.get("valuetype", "").lower() or "url"
    if value_type not in ("url", "json"):
        raise LabelConfigError(
            f'TimeSeries "{target}" has valueType="{attributes["valuetype"]}"; write "url" or "json".'
        )
    if not value and value_type == "url":
        raise LabelConfigError(
            f'TimeSeries "{target}" has no value; write the task\'s key, such as value="$csv_url".'
        )
    channels: dict[str, str] = {}
    for tag in _tags(series, "channel"):
        if column := _attributes(tag).get("column", "").strip():
            channels.setdefault(column.lower(), column)
    if not channels:
        raise LabelConfigError(
            f'TimeSeries "{target}" has no Channel with a column; add one for each channel.'
        )
    separator = attributes.get("sep", ",")
    separator = _SEPARATORS.get(separator, separator[:1])
    if not separator.isascii() or separator in '"\r\n':
        raise LabelConfigError(
            f'TimeSeries "{target}" has sep={attributes["sep"]!r}; use one plain character.'
        )
    time_column = attributes.get("timecolumn", "").strip() or None
    # As in the editor, a format without a column to read means nothing.
    time_format = (attributes.get("timeformat") or None) if time_column else None
    if time_format:
        try:
            TimeFormat(time_format)
        except TimeFormatError as error:
            raise LabelConfigError(f'TimeSeries "{target}": {error}') from error
    columns = tuple(channels.values())
    return LabelConfig(name, target, value, value_type, separator, time_column, time_format, columns, labels)


def _tags(parent: Element, name: str) -> Iterator[Element]:
    return (tag for tag in parent.iter() if isinstance(tag.tag, str) and tag.tag.lower() == name)


def _attributes(tag: Element) -> dict[str, str]:
    return {key.lower(): value for key, value in tag.attrib.items()}


def _look_up(data: Mapping[str, object], path: str) -> object:
    found: object = data.get(path)
    if found is None:
        found = data
        for step in re.findall(r"[^.\[\]]+", path):
            if isinstance(found, Mapping):
                found = found.get(step)
            elif isinstance(found, list | tuple) and step.isdecimal() and int(step) < len(found):
                found = found[int(step)]
            else:
                found = None
    if found is None:
        keys = ", ".join(f'"{key}"' for key in data) or "none"
        raise SeriesError(f'The task\'s data has no value for "{path}"; its keys: {keys}.')
    return found
