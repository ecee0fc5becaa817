"""Label Studio's own editor in a browser: it opens any config and task, and says what it holds of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Route

from tests.support.e2e.chromium import MILLISECONDS, log_in, open_task
from tests.support.e2e.generated_series import ADDRESS, Example
from tools.studio.label_studio import LabelStudio
from tools.studio.project import Project

OPEN = Path(__file__).with_suffix(".js").read_text()
FIRST_CONFIG = """<View>
  <TimeSeriesLabels name="label" toName="ts"><Label value="Run"/></TimeSeriesLabels>
  <TimeSeries name="ts" value="$csv"><Channel column="a"/></TimeSeries>
</View>"""
FIRST_SERIES = b"a,b\n" + b"1,2\n" * 20


@dataclass(frozen=True)
class Drawn:
    """A region over some rows as the editor writes it, and the start and end that it would read of that."""

    rows: tuple[int, int]
    result: dict[str, Any]
    again: tuple[object, object]


@dataclass(frozen=True)
class Held:
    """What the editor holds of a task. `refused` is what it says where it doesn't show it, else "".

    `times` are numbers, or what is in their place; None if there is no series. `channels`
    are the columns by the config's names, None where the editor doesn't find one. `regions` are
    start, end and whether it is an instant, by id. `plots` counts the channels that are plotted.
    """

    refused: str
    times: list[object] | None
    channels: Mapping[str, list[object] | None]
    regions: Mapping[str, tuple[object, object, bool]]
    drawn: Sequence[Drawn]
    plots: int


class Editor:
    """A page of a real Label Studio, which loads the editor; each task is opened in an editor of its own."""

    def __init__(self, page: Page, studio: LabelStudio) -> None:
        self._page = page
        self._content = FIRST_SERIES
        page.route(f"**{ADDRESS}*", self._answer)
        log_in(page, studio)
        self._project = Project(studio, "Generated series", FIRST_CONFIG)
        (task,) = self._project.import_tasks([{"csv": f"{ADDRESS}first"}])
        open_task(page, studio, self._project.id, task)

    def close(self) -> None:
        self._project.close()

    def open(
        self,
        example: Example,
        predicted: Sequence[Mapping[str, object]] = (),
        rows: Sequence[tuple[int, int]] = (),
    ) -> Held:
        """Opens an example with predicted regions, and draws others over `rows`."""
        self._content = example.content
        asked = {
            "config": example.config,
            "data": example.data,
            "predicted": list(predicted),
            "rows": [list(each) for each in rows],
            "milliseconds": MILLISECONDS,
        }
        held = self._page.evaluate(OPEN, asked)
        if held["uncaught"]:  # perhaps a late one, of the example before
            held = self._page.evaluate(OPEN, asked)
        errors = [
            *held["errors"],
            *held["uncaught"],
            *(f"there is no column {name}" for name, cells in held["channels"].items() if cells is None),
            *(["there is no series"] if held["times"] is None else []),
        ]
        return Held(
            refused="; ".join(dict.fromkeys(errors)),
            times=held["times"],
            channels=held["channels"],
            regions={name: tuple(region) for name, region in held["regions"].items()},
            drawn=[
                Drawn(tuple(each["rows"]), each["result"], tuple(each["again"])) for each in held["drawn"]
            ],
            plots=held["plots"],
        )

    def _answer(self, route: Route) -> None:
        route.fulfill(body=self._content, content_type="text/csv")
