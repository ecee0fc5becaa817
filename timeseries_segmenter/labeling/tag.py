"""The words of the labeling config: its tags and their attributes, which may be written in any case."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element


@dataclass(frozen=True)
class Kind:
    """A tag's name, and what its attributes mean. The reference page is generated from these."""

    name: str
    attributes: Mapping[str, str]


TIME_SERIES = Kind(
    "TimeSeries",
    {
        "name": "What `toName` refers to.",
        "value": "Where a task's series is: `$key`, a path into the task's data such as "
        "`$files.motion[0]`, or text around such variables. Needed, unless `valueType` is `json`: then its "
        "absence means that the task's data is itself the series.",
        "valueType": "`url`: the address of a file (default). `json`: the columns themselves, in the task.",
        "sep": "What separates the cells of a line: one character, or a name from the table below; `,` by "
        "default.",
        "timeColumn": "The column that holds the time: its name in any case, or its number. Without it rows "
        "are counted from 0.",
        "timeFormat": "How the time column is written; without it, it holds numbers.",
    },
)
CHANNEL = Kind(
    "Channel",
    {
        "column": "A column's name in any case, or its number from 0. A column that is named twice is read "
        "once."
    },
)
TIME_SERIES_LABELS = Kind(
    "TimeSeriesLabels",
    {
        "name": "What regions refer to.",
        "toName": "The `TimeSeries` that it labels; several with commas between them. Each is learned by a "
        "network of its own.",
        "value": "Where a task lists labels of its own, such as `$labels`; they join those in the config.",
        "choice": "`multiple`: a region may have several labels. Each annotated combination is a class "
        "of its own.",
    },
)
LABEL = Kind(
    "Label",
    {
        "value": "The label's name.",
        "alias": "The name that regions store in its place.",
        "predicted_values": "Other names for the label, with commas between them: regions and models that "
        "use one of them mean this label.",
        "model_background": "`true`: regions with this label say that nothing is there. They teach "
        "background, whatever `model_unlabeled` is, and are never predicted.",
    },
)
REPEATER = Kind("Repeater", {})

READ = (TIME_SERIES, CHANNEL, TIME_SERIES_LABELS, LABEL)
REGION_TYPE = TIME_SERIES_LABELS.name.lower()  # the `type` of a region, and the key of its labels


class Tag:
    """One tag of a kind; `attributes` are all that it has, with names in lower case."""

    def __init__(self, kind: Kind, element: Element) -> None:
        self.attributes = {name.lower(): value for name, value in element.attrib.items()}
        self.element = element
        self.called = f'{kind.name} "{self.attributes.get("name", "")}"'
        self._known = {name: self.attributes.get(name.lower(), "") for name in kind.attributes}

    def __getitem__(self, name: str) -> str:
        """An attribute, `""` if it is not written. Raises KeyError if its kind has no such attribute."""
        return self._known[name]

    def __contains__(self, name: str) -> bool:
        return name.lower() in self.attributes


def find(parent: Element, kind: Kind) -> Iterator[Tag]:
    """The tags of a kind in an element, itself included, in their order."""
    for element in parent.iter():
        if tag_name(element) == kind.name.lower():
            yield Tag(kind, element)


def tag_name(element: Element) -> str:
    """A tag's name in lower case; empty for a comment."""
    return element.tag.lower() if isinstance(element.tag, str) else ""
