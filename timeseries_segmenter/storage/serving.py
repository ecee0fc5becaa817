"""Which model predicts a project's tasks: its own, or at first that of the project that it starts from."""

import logging
from collections.abc import Callable
from functools import lru_cache

from timeseries_segmenter.errors import ModelFileError
from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.pair_settings import PREFIX
from timeseries_segmenter.once_logger import OnceLogger
from timeseries_segmenter.project.model import UNTRAINED, Model
from timeseries_segmenter.project.outline import Outline, given_by, misfit, taken_by
from timeseries_segmenter.project.start import Start
from timeseries_segmenter.storage.model_store import ModelStore

logger = logging.getLogger(__name__)

MOST_OUTLINES = 100  # of models that others start from; each takes milliseconds to read


class Serving:
    """Serves projects by their number and labeling config.

    A borrowed model keeps its version's name, which no version of the borrower has. It is always the other
    project's own model: nothing is borrowed twice.
    """

    def __init__(self, store: ModelStore, chosen: Callable[[int], int | None]) -> None:
        """`chosen` names the project that a person had a project start from; None for none."""
        self._store = store
        self._chosen = chosen
        self._log_once = OnceLogger(logger)
        self._given = lru_cache(MOST_OUTLINES)(self._read_given)

    def version(self, project: int, config: LabelConfig) -> str:
        """The version that predicts the project's tasks, or UNTRAINED. What `load` gives has its name."""
        start = self.start(project, config)
        return start.version if start else self._store.version(project)

    def load(self, project: int, config: LabelConfig) -> Model | None:
        """The model that predicts the project's tasks; None if there is none. Raises ModelFileError."""
        start = self.start(project, config)
        return self._lent(start, config) if start else self._store.load(project)

    def load_lent(self, project: int, config: LabelConfig) -> Model | None:
        """That of the project it starts from; None if there is none. Raises ModelFileError."""
        start = self.start(project, config)
        return self._lent(start, config) if start else None

    def _lent(self, start: Start, config: LabelConfig) -> Model | None:
        model = None if start.problem else self._store.load(start.project)
        # another version may have been saved meanwhile
        return model if model and not misfit(given_by(model.card), taken_by(config)) else None

    def start(self, project: int, config: LabelConfig) -> Start | None:
        """What comes of the config's `model_start`, or else of a person's choice; None if there is neither,
        or the project has its own model.

        A problem is in the log, once.
        """
        if self._store.path(project).exists():
            return None
        lender = config.start or self._chosen(project)
        if lender is None:
            return None
        start = self._start(project, lender, config)
        if not start.problem:
            self._log_once.forget(project)
        elif self._log_once.is_news(project, start.problem):
            logger.warning("project %d: %s", project, start.problem)
        return start

    def _start(self, project: int, lender: int, config: LabelConfig) -> Start:
        chosen = config.start is None
        name = "choose" if chosen else "name"
        named = (
            f"the start from project {lender}, chosen on the dashboard,"
            if chosen
            else f'{PREFIX}start="project:{lender}"'
        )

        def without(problem: str) -> Start:
            return Start(project=lender, problem=f"{named} {problem}", chosen=chosen)

        if lender == project:
            return without(f"names the project itself; {name} another one")
        version = self._store.version(lender)
        if version == UNTRAINED:
            return without(
                f"has no effect: that project has no model of its own; train it, or {name} another one"
            )
        try:
            reason = misfit(self._given(lender, version), taken_by(config))
        except ModelFileError as error:
            return without(f"has no effect: {error}")
        if reason:
            return without(
                f"has no effect: model {version} {reason}; give both projects the same channels and labels, "
                f"or {name} another one"
            )
        return Start(project=lender, version=version, chosen=chosen)

    def _read_given(self, lender: int, version: str) -> Outline:
        return given_by(self._store.card(lender, version))
