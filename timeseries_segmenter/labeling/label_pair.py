"""One `TimeSeriesLabels` and the `TimeSeries` that it labels: what one network learns and predicts."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.pair_settings import PairSettings
from timeseries_segmenter.segment import LabelSet

MOST_LABELS = 1000  # of one pair: each that is learned is a column of the network's output
MOST_NAME = 1000  # characters of a label, or of a tag's name

_END = object()
_VARIABLE = re.compile(r"\$([\w\[\].{}]+)")


@dataclass(frozen=True, slots=True)
class LabelPair:
    """One `TimeSeriesLabels` and the `TimeSeries` that it labels.

    `value` is as written (`"$csv_url"`), `""` if the whole task is the series.
    `separator` is one character or `"auto"`. `channels` are column names as written, or
    column numbers from 0 if they are all digits. `labels` are the names that regions
    store: a label's alias if it has one, else its value; those that come from the tasks under
    `labels_value` (`"$labels"`) join them in `of_task`. With `multiple`, a region may have several
    labels. `background` are those of the `labels` that mean that nothing is there. `other_names` are pairs of
    another name and the label that it means. `row_format` is a `timeFormat` without a `timeColumn`, in
    which the editor writes row numbers as dates of 1970.
    `label_tags` are all the labeling config's `TimeSeriesLabels`, each with a name in its `toName`,
    learned or not.
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
    labels_value: str = ""
    multiple: bool = False
    background: tuple[str, ...] = ()
    other_names: tuple[tuple[str, str], ...] = ()
    settings: PairSettings = field(default_factory=PairSettings)
    row_format: str | None = field(default=None, compare=False)
    label_tags: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    @property
    def name(self) -> str:
        """What the pair is called in models, logs and reports."""
        return f"{self.from_name}:{self.to_name}"

    @property
    def predicted_labels(self) -> tuple[str, ...]:
        """The labels that can be learned and predicted."""
        return tuple(label for label in self.labels if label not in self.background)

    def find_value(self, data: Mapping[str, object]) -> object:
        """What `value` refers to in a task's data: a URL, or the series itself.

        `$key`, a path such as `$a.b[0]`, a key with dots in it, or text around such
        variables; text without a `$` is itself the value, and no `value` is all the data.

        Raises:
            SeriesError: the data has nothing under that key.

        """
        if not self.value:
            return data
        if self.value in data:
            raise SeriesError(
                f'TimeSeries "{self.to_name}" has value="{self.value}", which is itself an address; write '
                f'value="${self.value}" for what the task has under that key'
            )
        if self.value.startswith("$") and data.get(self.value[1:]) is not None:
            return data[self.value[1:]]
        if whole := _VARIABLE.fullmatch(self.value):
            return _look_up(data, whole[1])
        return _VARIABLE.sub(lambda variable: str(_look_up(data, variable[1])), self.value)

    def of_task(self, data: object) -> "LabelPair":
        """The pair with the labels that a task's data brings, after those of the config."""
        if not self.labels_value or not isinstance(data, Mapping):
            return self
        try:
            listed = _look_up(data, self.labels_value.removeprefix("$"))
        except SeriesError:
            return self
        labels = dict.fromkeys((*self.labels, *itertools.islice(_label_names(listed), MOST_LABELS)))
        return replace(self, labels=tuple(labels)[:MOST_LABELS])

    def label_set(self, names: Iterable[object]) -> LabelSet:
        """The labels that a region or a model names, in the config's order; other names are understood.

        Unknown ones are left out. Without `multiple` only the first known one counts.
        """
        others = dict(self.other_names)
        known = []
        for name in names:
            if isinstance(name, str) and (label := name if name in self.labels else others.get(name)):
                known.append(label)
        return tuple(label for label in self.labels if label in (known if self.multiple else known[:1]))


def _label_names(listed: object) -> Iterator[str]:
    """Names of a task's list of labels, as the editor takes it: `{"value", "alias", "children"}` each."""
    waiting = [iter(listed if isinstance(listed, list | tuple) else ())]
    while waiting:
        item = next(waiting[-1], _END)
        if item is _END:
            waiting.pop()
        elif isinstance(item, Mapping):
            name = item.get("alias") or item.get("value")
            if isinstance(name, str) and name:
                yield name[:MOST_NAME]
            children = item.get("children")
            waiting.append(iter(children if isinstance(children, list | tuple) else ()))


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
        raise SeriesError(
            f'The task\'s data has no value for "{path}"; its keys: {keys}. Correct the key in the config, '
            "or the task."
        )
    return found
