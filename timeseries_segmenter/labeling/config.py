"""The labeling config: which channels are learned, which labels, and how time is written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from timeseries_segmenter.errors import LabelConfigError, TimeFormatError
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.pair_settings import PairSettings, unknown_settings
from timeseries_segmenter.labeling.time_format import TimeFormat

SEPARATORS = {
    "": ",",
    "tab": "\t",
    "\\t": "\t",
    "space": " ",
    "comma": ",",
    "dot": ".",
    "auto": "auto",
}


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """A project's labeling config: the pairs that are learned, at least one.

    Each `TimeSeriesLabels` makes a pair with each `TimeSeries` that its `toName` lists.
    `unknown_settings` are its `model_…` attributes that this service doesn't know.
    """

    pairs: tuple[LabelPair, ...]
    unknown_settings: tuple[str, ...] = ()


def parse_label_config(xml: str) -> LabelConfig:
    """Read a labeling config.

    `TimeSeriesLabels` that can't be learned are passed over where others can, and so are those with
    `model_skip="true"`.

    Raises:
        LabelConfigError: no `TimeSeriesLabels` is usable, or a `model_…` attribute has a bad value; the
            message says what is missing.

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
    usable: dict[str, LabelPair] = {}
    problems: list[LabelConfigError] = []
    skipped: list[str] = []
    unknown: list[str] = []
    for control in controls:
        attributes = _attributes(control)
        control_name = f'TimeSeriesLabels "{attributes.get("name", "")}"'
        settings = PairSettings.read(attributes, control_name)
        unknown.extend(unknown_settings(attributes))
        if settings.skip:
            skipped.append(control_name)
            continue
        try:
            for pair in _pairs(control, settings, all_series):
                usable.setdefault(pair.name, pair)
        except LabelConfigError as problem:
            problems.append(problem)
    if problems and not usable:
        raise problems[0]
    if not usable:
        raise LabelConfigError(f"{' and '.join(skipped)} has model_skip, and there is no other to learn.")
    return LabelConfig(tuple(usable.values()), tuple(dict.fromkeys(unknown)))


def _pairs(control: Element, settings: PairSettings, all_series: Mapping[str, Element]) -> list[LabelPair]:
    attributes = _attributes(control)
    name = attributes.get("name", "")
    if not name:
        raise LabelConfigError("A TimeSeriesLabels tag has no name; give it one.")
    wanted = [part.strip() for part in attributes.get("toname", "").split(",") if part.strip()]
    targets = [target for target in dict.fromkeys(wanted) if target in all_series]
    if not targets:
        there = ", ".join(f'"{key}"' for key in all_series) or "none"
        raise LabelConfigError(
            f'TimeSeriesLabels "{name}" has toName="{attributes.get("toname", "")}", which is no TimeSeries; '
            f"the config's TimeSeries names: {there}."
        )
    labels, other_names = _labels(control)
    value = attributes.get("value", "").strip()
    labels_value = value if value.startswith("$") else ""
    if not labels and not labels_value:
        raise LabelConfigError(
            f'TimeSeriesLabels "{name}" has no Label with a value; list its labels in the config, or name '
            'the task\'s key that holds them, such as value="$labels".'
        )
    usable: list[LabelPair] = []
    problems: list[LabelConfigError] = []
    for target in targets:
        try:
            pair = _pair(name, target, all_series[target], labels)
        except LabelConfigError as problem:
            problems.append(problem)
        else:
            multiple = attributes.get("choice", "").strip().lower() == "multiple"
            usable.append(
                replace(
                    pair,
                    labels_value=labels_value,
                    multiple=multiple,
                    other_names=other_names,
                    settings=settings,
                )
            )
    if not usable:
        raise problems[0]
    return usable


def _labels(control: Element) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Each label once, and each other name with the label that it stands for."""
    tags = [_attributes(tag) for tag in _tags(control, "label")]
    named = [(name, tag) for tag in tags if (name := tag.get("alias") or tag.get("value"))]
    labels = tuple(dict.fromkeys(name for name, _ in named))
    others: dict[str, str] = {}
    for name, tag in named:
        for other in tag.get("predicted_values", "").split(","):
            if other.strip() and other.strip() not in labels:
                others.setdefault(other.strip(), name)
    return labels, tuple(others.items())


def _pair(name: str, target: str, series: Element, labels: tuple[str, ...]) -> LabelPair:
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
    separator = SEPARATORS.get(separator, separator[:1])
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
    return LabelPair(name, target, value, value_type, separator, time_column, time_format, columns, labels)


def _tags(parent: Element, name: str) -> Iterator[Element]:
    return (tag for tag in parent.iter() if isinstance(tag.tag, str) and tag.tag.lower() == name)


def _attributes(tag: Element) -> dict[str, str]:
    return {key.lower(): value for key, value in tag.attrib.items()}
