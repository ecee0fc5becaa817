"""For which files the token is sent if no password is set: those that Label Studio vouches for.

Whoever reaches the port may send any labeling config and any address, and the ends of predicted regions
show cells of the file. With the token, that would be everybody's uploads; without it, a request gets what
Label Studio gives anybody.
"""

import hashlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

from timeseries_segmenter.errors import LabelConfigError, LabelStudioError, SeriesError
from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.label_studio import LabelStudioClient

REMEMBERED = 600.0  # seconds for which Label Studio's word counts
MOST_REMEMBERED = 20_000  # configs and tasks
ADVICE = (
    "where no password is set, the token is sent only for what Label Studio itself names: set "
    "BASIC_AUTH_USER and BASIC_AUTH_PASS"
)

Key = tuple[int, int, str]  # project, task or 0 for the config, digest


class Vouching:
    """Asks Label Studio whether requests are its own, and remembers for a while that they were."""

    def __init__(self, settings: Settings, label_studio: LabelStudioClient) -> None:
        self._needed = not settings.basic_auth_user
        self._label_studio = label_studio
        self._known: OrderedDict[Key, float] = OrderedDict()  # until when
        self._lock = threading.Lock()

    def of_request(
        self, project: int, config: LabelConfig, tasks: Sequence[Mapping[str, Any]]
    ) -> "Voucher | None":
        """What says for each file of a request whether the token may be sent; None if it always may."""
        return Voucher(self, project, config, tasks) if self._needed else None

    def knows_config(self, project: int, config: LabelConfig) -> bool:
        """Whether a project has this labeling config. Raises LabelStudioError."""
        key = project, 0, _digest(config)
        if self._remembers(key):
            return True
        if parse_label_config(self._label_studio.project(project).label_config) != config:
            return False
        self._remember(key)
        return True

    def known_tasks(self, project: int, config: LabelConfig, named: Mapping[int, list[str]]) -> set[int]:
        """Those of some tasks of a project that name these addresses there, too. Raises LabelStudioError."""
        keys = {task: (project, task, _digest((addresses, config))) for task, addresses in named.items()}
        known = {task for task, key in keys.items() if self._remembers(key)}
        unknown = sorted(named.keys() - known)
        for task, data in self._label_studio.tasks_data(project, unknown).items():
            if task in named and addresses_of(data, config) == named[task]:
                known.add(task)
                self._remember(keys[task])
        return known

    def _remembers(self, key: Key) -> bool:
        with self._lock:
            return self._known.get(key, 0) > monotonic()

    def _remember(self, key: Key) -> None:
        with self._lock:
            self._known[key] = monotonic() + REMEMBERED
            self._known.move_to_end(key)
            while len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)


class Voucher:
    """What Label Studio says of one request; it is asked once, when that matters. Threads may share it."""

    def __init__(
        self, vouching: Vouching, project: int, config: LabelConfig, tasks: Sequence[Mapping[str, Any]]
    ) -> None:
        self._vouching = vouching
        self._project = project
        self._config = config
        self._tasks = tasks
        self._lock = threading.Lock()
        self._reason: str | None = None  # why no task is known
        self._named: dict[int, list[str]] | None = None  # addresses by task that Label Studio knows

    def objection(self, task: int | str, source: str) -> str | None:
        """Why the token is not sent for a file that a task names; None if it may be."""
        with self._lock:
            if self._named is None:
                self._named = self._look_up()
        if self._reason:
            return f"{self._reason}; {ADVICE}"
        if not isinstance(task, int) or source not in self._named.get(task, ()):
            return f"task {task} of project {self._project} in Label Studio does not name it; {ADVICE}"
        return None

    def _look_up(self) -> dict[int, list[str]]:
        numbers = [task.get("id") for task in self._tasks]
        times = Counter(number for number in numbers if type(number) is int)
        named = {
            number: addresses_of(task.get("data"), self._config)
            for number, task in zip(numbers, self._tasks, strict=True)
            if type(number) is int and times[number] == 1  # of two with one id, which one is meant?
        }
        if not self._project:
            self._reason = "the request names no project of Label Studio"
            return {}
        try:
            if not self._vouching.knows_config(self._project, self._config):
                self._reason = f"its labeling config is not the one that project {self._project} has"
                return {}
            known = self._vouching.known_tasks(self._project, self._config, named)
        except (LabelStudioError, LabelConfigError) as error:
            self._reason = f"Label Studio can't be asked whether the request is its own ({error})"
            return {}
        return {task: named[task] for task in known}


def addresses_of(data: object, config: LabelConfig) -> list[str]:
    """What a task's data names for each pair of the config, in their order; empty if it names nothing."""
    found = []
    for pair in config.pairs:
        try:
            value = pair.find_value(data) if isinstance(data, Mapping) else ""
        except SeriesError:
            value = ""
        # what is in the task itself is fetched from nowhere
        found.append(value.strip() if isinstance(value, str) and pair.value_type != "json" else "")
    return found


def _digest(content: object) -> str:
    return hashlib.sha256(repr(content).encode("utf-8", "surrogatepass")).hexdigest()
