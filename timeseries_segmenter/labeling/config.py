"""The labeling config: which channels are learned, which labels, and how time is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from timeseries_segmenter.errors import LabelConfigError, TimeFormatError
from timeseries_segmenter.labeling.label_pair import MOST_LABELS, MOST_NAME, LabelPair
from timeseries_segmenter.labeling.pair_settings import PREFIX, PairSettings, unknown_settings
from timeseries_segmenter.labeling.tag import (
    CHANNEL,
    LABEL,
    REPEATER,
    TIME_SERIES,
    TIME_SERIES_LABELS,
    Tag,
    find,
    tag_name,
)
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

_Pair = Callable[..., LabelPair]


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """A project's labeling config: the pairs that are learned, at least one.

    Each `TimeSeriesLabels` makes a pair with each `TimeSeries` that its `toName` lists.
    `unknown_settings` are its `model_…` attributes that this service doesn't know, `unusable` says why
    other pairs can't be learned, and which tags of the learned ones are passed over.
    """

    pairs: tuple[LabelPair, ...]
    unknown_settings: tuple[str, ...] = ()
    unusable: tuple[str, ...] = ()

    @property
    def start(self) -> int | None:
        """The project whose model predicts until there is one of this config's own; None for none."""
        return next((pair.settings.start for pair in self.pairs if pair.settings.start), None)

    @property
    def settings_remark(self) -> str:
        """What to say about `unknown_settings`; empty if there are none."""
        if not self.unknown_settings:
            return ""
        known = ", ".join(PREFIX + name for name in PairSettings.model_fields)
        return (
            f"the labeling config has {', '.join(self.unknown_settings)}, which this service doesn't know; "
            f"it knows {known}"
        )


def parse_label_config(xml: str) -> LabelConfig:
    """Read a labeling config.

    `TimeSeriesLabels` that can't be learned are passed over if others can, and named in
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
        raise LabelConfigError(f"The labeling config is not usable XML: {_xml_problem(error)}.") from error
    all_series: dict[str, Tag] = {}
    twice: list[LabelConfigError] = []
    for series in find(root, TIME_SERIES):
        if all_series.setdefault(series["name"], series) is not series:
            twice.append(_twice(series))
    controls = list(find(root, TIME_SERIES_LABELS))
    if not controls:
        raise LabelConfigError(
            "The labeling config has no TimeSeriesLabels tag; add one whose toName is a TimeSeries."
            + _similar(root, all_series)
        )
    # each by name, with each name in its toName
    label_tags = tuple((each["name"], target) for each in controls for target in _targets(each) or [""])
    repeated = {
        control.element for tag in find(root, REPEATER) for control in find(tag.element, TIME_SERIES_LABELS)
    }
    usable: dict[str, LabelPair] = {}
    problems: list[LabelConfigError] = []
    skipped: list[str] = []
    unknown: list[str] = []
    for control in controls:
        settings = PairSettings.read(control.attributes, control.called)
        background = _background(control)
        unknown.extend(unknown_settings(control.attributes))
        if settings.skip:
            skipped.append(control.called)
            continue
        try:
            if control.element in repeated:
                raise LabelConfigError(
                    f"{control.called} is in a Repeater, which is not read; write a TimeSeries and its "
                    "TimeSeriesLabels for each entry instead."
                )
            known = partial(LabelPair, settings=settings, background=background, label_tags=label_tags)
            for pair in _pairs(control, known, all_series, problems):
                if usable.setdefault(pair.name, pair) is not pair:
                    twice.append(_twice(control))
        except LabelConfigError as problem:
            problems.append(problem)
    if problems and not usable:
        raise problems[0]
    if not usable:
        raise LabelConfigError(f"{' and '.join(skipped)} has model_skip, and there is no other to learn.")
    _check_number(len(usable), MOST_PAIRS, "The labeling config", "pairs of TimeSeriesLabels and TimeSeries")
    starts = sorted({pair.settings.start for pair in usable.values() if pair.settings.start})
    if len(starts) > 1:
        named = " and ".join(f'"project:{start}"' for start in starts)
        raise LabelConfigError(f"The labeling config has {PREFIX}start={named}; name one project in it.")
    unusable = tuple(dict.fromkeys(map(str, [*problems, *twice])))
    return LabelConfig(tuple(usable.values()), tuple(dict.fromkeys(unknown)), unusable)


def _xml_problem(error: Exception) -> str:
    if isinstance(error, DefusedXmlException):
        return "it has a DOCTYPE, which is not read; remove it"
    marks = " (a plain & is written &amp;, and < in a value &lt;)" if "invalid token" in str(error) else ""
    return f"{error}; correct it there{marks}"


def _twice(tag: Tag) -> LabelConfigError:
    return LabelConfigError(
        f"{tag.called} is there twice, and only the first is read; give each a name of its own."
    )


def _targets(control: Tag) -> list[str]:
    return _listed(control["toName"])


def _listed(text: str) -> list[str]:
    """What is between commas, each once."""
    return list(dict.fromkeys(part for each in text.split(",") if (part := each.strip())))


def _similar(root: Element, all_series: Mapping[str, Tag]) -> str:
    """A hint at a tag that may have been meant for `TimeSeriesLabels`."""
    for element in root.iter():
        name = tag_name(element)
        targets = _targets(Tag(TIME_SERIES_LABELS, element))
        labels_series = name == "labels" and not all_series.keys().isdisjoint(targets)
        if labels_series or (name.startswith("timeserie") and name != "timeseries"):
            return f" It has {element.tag[:MOST_NAME]}: if that is meant, call it TimeSeriesLabels."
    return ""


def _pairs(
    control: Tag, known: _Pair, all_series: Mapping[str, Tag], problems: list[LabelConfigError]
) -> list[LabelPair]:
    """The usable pairs of one `TimeSeriesLabels`; why others are not joins `problems`."""
    name = control["name"]
    if not name:
        raise LabelConfigError("A TimeSeriesLabels tag has no name; give it one.")
    _check_number(len(name), MOST_NAME, "The name of a TimeSeriesLabels tag", "characters")
    targets = [target for target in _targets(control) if target in all_series]
    if not targets:
        there = ", ".join(f'"{key}"' for key in all_series) or "none"
        named = (
            f'toName="{control["toName"]}", which is not a TimeSeries' if "toName" in control else "no toName"
        )
        raise LabelConfigError(f"{control.called} has {named}; the config's TimeSeries names: {there}.")
    labels, other_names = _labels(control)
    value = control["value"].strip()
    labels_value = value if value.startswith("$") else ""
    if labels and not labels_value and set(labels) <= set(_background(control)):
        raise LabelConfigError(
            f"{control.called} has only labels with model_background; add a Label to be predicted."
        )
    if not labels and not labels_value:
        raise LabelConfigError(
            f"{control.called} has no Label with a value; list its labels in the config, or name the task's "
            'key that holds them, such as value="$labels".'
        )
    _check_number(len(labels), MOST_LABELS, control.called, "labels")
    _check_number(max(map(len, labels), default=0), MOST_NAME, f'A label of "{name}"', "characters")
    multiple = control["choice"].strip().lower() == "multiple"
    known = partial(known, from_name=name, labels=labels, labels_value=labels_value)
    known = partial(known, multiple=multiple, other_names=other_names)
    usable: list[LabelPair] = []
    refused: list[LabelConfigError] = []
    for target in targets:
        try:
            usable.append(_pair(known, all_series[target]))
        except LabelConfigError as problem:
            refused.append(problem)
            continue
        if not all(channel["column"].strip() for channel in find(all_series[target].element, CHANNEL)):
            problems.append(
                LabelConfigError(
                    f"{all_series[target].called} has a Channel without a column, which is not read; write "
                    "the name of its column."
                )
            )
    if not usable:
        raise refused[0]
    problems.extend(refused)
    return usable


def _labels(control: Tag) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Each label once, and each other name with the label that it means."""
    named = [(name, tag) for tag in find(control.element, LABEL) if (name := tag["alias"] or tag["value"])]
    labels = tuple(dict.fromkeys(name for name, _ in named))
    others: dict[str, str] = {}
    for name, tag in named:
        for other in _listed(tag["predicted_values"]):
            if other not in labels:
                others.setdefault(other, name)
    return labels, tuple(others.items())


def _background(control: Tag) -> tuple[str, ...]:
    """The labels that mean that nothing is there. Raises LabelConfigError for a bad `model_background`."""
    marked: list[str] = []
    for tag in find(control.element, LABEL):
        name, value = tag["alias"] or tag["value"], tag["model_background"].strip()
        if value.lower() not in ("true", "false", ""):
            raise LabelConfigError(
                f'Label "{name}" of {control.called} has model_background="{value}"; write "true" or '
                '"false", or leave it out.'
            )
        if name and value.lower() == "true":
            marked.append(name)
    return tuple(marked)


def _pair(known: _Pair, series: Tag) -> LabelPair:
    """What is `known` from a `TimeSeriesLabels`, completed by one of its series."""
    value = series["value"].strip()
    value_type = series["valueType"].lower() or "url"
    if value_type not in ("url", "json"):
        raise LabelConfigError(
            f'{series.called} has valueType="{series["valueType"]}"; write "url" or "json".'
        )
    if not value and value_type == "url":
        raise LabelConfigError(
            f'{series.called} has no value; write the task\'s key, such as value="$csv_url".'
        )
    channels: dict[str, str] = {}
    for channel in find(series.element, CHANNEL):
        if column := channel["column"].strip():
            channels.setdefault(column.lower(), column)
    if not channels:
        raise LabelConfigError(f"{series.called} has no Channel with a column; add one for each channel.")
    _check_number(len(channels), MOST_CHANNELS, series.called, "channels")
    _check_number(max(map(len, channels)), MOST_NAME, f'A column of "{series["name"]}"', "characters")
    separator = SEPARATORS.get(series["sep"], series["sep"][:1])
    if not separator.isascii() or separator in '"\r\n':
        raise LabelConfigError(f"{series.called} has sep={series['sep']!r}; use one plain character.")
    time_column = series["timeColumn"].strip() or None
    time_format = series["timeFormat"] or None
    _check_number(len(time_format or ""), MOST_FORMAT, f"timeFormat of {series.called}", "characters")
    try:
        if time_format:
            TimeFormat(time_format)
    except TimeFormatError as error:
        if time_column:
            raise LabelConfigError(f"{series.called}: {error}") from error
        time_format = None  # the editor doesn't look at it either
    return known(
        to_name=series["name"],
        value=value,
        value_type=value_type,
        separator=separator,
        time_column=time_column,
        time_format=time_format if time_column else None,
        channels=tuple(channels.values()),
        row_format=None if time_column else time_format,
    )


def _check_number(number: int, most: int, of: str, what: str) -> None:
    if number > most:
        raise LabelConfigError(f"{of} has {number} {what}, and at most {most} are read; use fewer.")
