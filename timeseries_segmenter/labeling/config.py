"""The labeling config: which channels are learned, which labels, and how time is written."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from timeseries_segmenter.errors import LabelConfigError, TimeFormatError
from timeseries_segmenter.labeling.label_pair import MOST_LABELS, MOST_NAME, LabelPair
from timeseries_segmenter.labeling.pair_settings import PREFIX, PairSettings, unknown_settings
from timeseries_segmenter.labeling.time.formats import TimeFormat

SEPARATORS = {
    "": ",",
    "tab": "\t",
    "\\t": "\t",
    "space": " ",
    "comma": ",",
    "dot": ".",
    "auto": "auto",
}


MOST_CHARACTERS = 1_000_000  # of a labeling config
MOST_PAIRS = 100
MOST_CHANNELS = 1000  # of one TimeSeries
MOST_FORMAT = 100  # characters of a timeFormat: room for what it reads is kept for each row


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """A project's labeling config: the pairs that are learned, at least one.

    Each `TimeSeriesLabels` makes a pair with each `TimeSeries` that its `toName` lists.
    `unknown_settings` are its `model_…` attributes that this service doesn't know, `unusable` says why
    other pairs can't be learned.
    """

    pairs: tuple[LabelPair, ...]
    unknown_settings: tuple[str, ...] = ()
    unusable: tuple[str, ...] = ()

    @property
    def settings_remark(self) -> str:
        """What to tell of `unknown_settings`; empty if there are none."""
        if not self.unknown_settings:
            return ""
        known = ", ".join(PREFIX + name for name in PairSettings.model_fields)
        return (
            f"the labeling config has {', '.join(self.unknown_settings)}, which this service doesn't know; "
            f"it knows {known}"
        )


def parse_label_config(xml: str) -> LabelConfig:
    """Read a labeling config.

    `TimeSeriesLabels` that can't be learned are passed over where others can, and named in
    `LabelConfig.unusable`; those with `model_skip="true"` are passed over.

    Raises:
        LabelConfigError: no `TimeSeriesLabels` is usable, a `model_…` attribute has a bad value, or there
            is too much of something; the message says what is missing.

    """
    if not xml.strip():
        raise LabelConfigError("The labeling config is empty; save one in the project's settings.")
    _check_number(len(xml), MOST_CHARACTERS, "The labeling config", "characters")
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
            + _similar(root)
        )
    label_tags = _label_tags(controls)
    repeated = {control for tag in _tags(root, "repeater") for control in _tags(tag, "timeserieslabels")}
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
            if control in repeated:
                raise LabelConfigError(
                    f"{control_name} is in a Repeater, which is not read; write a TimeSeries and its "
                    "TimeSeriesLabels for each entry instead."
                )
            for pair in _pairs(control, settings, all_series, problems):
                usable.setdefault(pair.name, replace(pair, label_tags=label_tags))
        except LabelConfigError as problem:
            problems.append(problem)
    if problems and not usable:
        raise problems[0]
    if not usable:
        raise LabelConfigError(f"{' and '.join(skipped)} has model_skip, and there is no other to learn.")
    _check_number(len(usable), MOST_PAIRS, "The labeling config", "pairs of TimeSeriesLabels and TimeSeries")
    unusable = tuple(dict.fromkeys(map(str, problems)))
    return LabelConfig(tuple(usable.values()), tuple(dict.fromkeys(unknown)), unusable)


def _label_tags(controls: Iterable[Element]) -> tuple[tuple[str, str], ...]:
    """Each `TimeSeriesLabels` by name, with each name in its `toName`."""
    return tuple(
        (_attributes(control).get("name", ""), target)
        for control in controls
        for target in _targets(control) or [""]
    )


def _targets(control: Element) -> list[str]:
    wanted = (part.strip() for part in _attributes(control).get("toname", "").split(","))
    return list(dict.fromkeys(part for part in wanted if part))


def _similar(root: Element) -> str:
    """A hint at a tag that may have been meant for `TimeSeriesLabels`."""
    series = {_attributes(tag).get("name", "") for tag in _tags(root, "timeseries")}
    for tag in root.iter():
        kind = tag.tag.lower() if isinstance(tag.tag, str) else ""
        labels_series = kind == "labels" and not series.isdisjoint(_targets(tag))
        if labels_series or (kind.startswith("timeserie") and kind != "timeseries"):
            return f" It has {tag.tag[:MOST_NAME]}: if that is meant, call it TimeSeriesLabels."
    return ""


def _pairs(
    control: Element,
    settings: PairSettings,
    all_series: Mapping[str, Element],
    problems: list[LabelConfigError],
) -> list[LabelPair]:
    """The usable pairs of one `TimeSeriesLabels`; why others are not joins `problems`."""
    attributes = _attributes(control)
    name = attributes.get("name", "")
    if not name:
        raise LabelConfigError("A TimeSeriesLabels tag has no name; give it one.")
    _check_number(len(name), MOST_NAME, "The name of a TimeSeriesLabels tag", "characters")
    targets = [target for target in _targets(control) if target in all_series]
    if not targets:
        there = ", ".join(f'"{key}"' for key in all_series) or "none"
        named = (
            f'toName="{attributes["toname"]}", which is no TimeSeries'
            if "toname" in attributes
            else ("no toName")
        )
        raise LabelConfigError(
            f'TimeSeriesLabels "{name}" has {named}; the config\'s TimeSeries names: {there}.'
        )
    labels, other_names = _labels(control)
    value = attributes.get("value", "").strip()
    labels_value = value if value.startswith("$") else ""
    if not labels and not labels_value:
        raise LabelConfigError(
            f'TimeSeriesLabels "{name}" has no Label with a value; list its labels in the config, or name '
            'the task\'s key that holds them, such as value="$labels".'
        )
    _check_number(len(labels), MOST_LABELS, f'TimeSeriesLabels "{name}"', "labels")
    _check_number(max(map(len, labels), default=0), MOST_NAME, f'A label of "{name}"', "characters")
    usable: list[LabelPair] = []
    refused: list[LabelConfigError] = []
    for target in targets:
        try:
            pair = _pair(name, target, all_series[target], labels)
        except LabelConfigError as problem:
            refused.append(problem)
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
        raise refused[0]
    problems.extend(refused)
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
    _check_number(len(channels), MOST_CHANNELS, f'TimeSeries "{target}"', "channels")
    _check_number(max(map(len, channels)), MOST_NAME, f'A column of "{target}"', "characters")
    separator = attributes.get("sep", ",")
    separator = SEPARATORS.get(separator, separator[:1])
    if not separator.isascii() or separator in '"\r\n':
        raise LabelConfigError(
            f'TimeSeries "{target}" has sep={attributes["sep"]!r}; use one plain character.'
        )
    time_column = attributes.get("timecolumn", "").strip() or None
    time_format = attributes.get("timeformat") or None
    _check_number(len(time_format or ""), MOST_FORMAT, f'timeFormat of TimeSeries "{target}"', "characters")
    problem = _problem(time_format)
    if problem and time_column:
        raise LabelConfigError(f'TimeSeries "{target}": {problem}') from problem
    columns = tuple(channels.values())
    pair = LabelPair(name, target, value, value_type, separator, time_column, None, columns, labels)
    if time_column:
        return replace(pair, time_format=time_format)
    return replace(pair, row_format=None if problem else time_format)


def _problem(time_format: str | None) -> TimeFormatError | None:
    """Why a `timeFormat` can't be read."""
    try:
        if time_format:
            TimeFormat(time_format)
    except TimeFormatError as error:
        return error
    return None


def _check_number(number: int, most: int, of: str, what: str) -> None:
    if number > most:
        raise LabelConfigError(f"{of} has {number} {what}, and at most {most} are read; use fewer.")


def _tags(parent: Element, name: str) -> Iterator[Element]:
    return (tag for tag in parent.iter() if isinstance(tag.tag, str) and tag.tag.lower() == name)


def _attributes(tag: Element) -> dict[str, str]:
    return {key.lower(): value for key, value in tag.attrib.items()}
