"""A real Chromium, and what it shows of a Label Studio task."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tools.studio.label_studio import LabelStudio

PROGRAM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZE: Any = {"width": 1280, "height": 800}
MILLISECONDS = 30_000

READ_PLOTS = """() => {
  const number = (rect, name) => Number(rect.getAttribute(name));
  const box = rect => ({
    x: number(rect, 'x'), width: number(rect, 'width'), fill: rect.getAttribute('fill'),
    shown: getComputedStyle(rect).display !== 'none' && rect.getBoundingClientRect().height > 0,
  });
  const boxes = (svg, where) => [...svg.querySelectorAll(where)].map(box);
  const overview = document.querySelector('.htx-timeseries-overview svg');
  return {
    overview: {
      width: number(overview.querySelector('rect.overlay'), 'width'),
      window: box(overview.querySelector('rect.selection')),
      marks: boxes(overview, '.regions rect.region'),
    },
    channels: [...document.querySelectorAll('.htx-timeseries-channel svg')].map(svg => ({
      width: number(svg.querySelector('clipPath rect'), 'width'),
      marks: boxes(svg, '.brushes .brush rect.selection'),
    })),
  };
}"""


@dataclass(frozen=True)
class Mark:
    """A region as it is drawn: its ends in the unit of the plot's extent, its width in pixels, its colour."""

    start: float
    end: float
    pixels: float
    colour: str


@dataclass(frozen=True)
class Plot:
    """The regions in one plot, by their start. `pixel` is the time that one pixel spans."""

    marks: list[Mark]
    pixel: float


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium. Fails where there is none."""
    if not PROGRAM.exists():
        pytest.fail(
            f"There is no Chromium at {PROGRAM}; install it: apt-get install chromium fonts-dejavu-core"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def log_in(page: Page, studio: LabelStudio) -> None:
    page.goto(f"{studio.url}/user/login/")
    page.fill("input[name=email]", studio.credentials.username)
    page.fill("input[name=password]", studio.credentials.password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "login" not in url)


def open_task(page: Page, studio: LabelStudio, project: int, task: int) -> None:
    """Opens a task as its link does, and waits for its series."""
    page.goto(f"{studio.url}/projects/{project}/data?task={task}")
    page.wait_for_selector(".htx-timeseries-overview rect.selection")


def show_prediction(page: Page, version: str) -> None:
    """Chooses the tab of a version's prediction; the editor shortens its name in the middle."""
    start, end = version[:8], version[-6:]
    name = re.compile(f"^{re.escape(start)}.*{re.escape(end)}$")
    page.locator(".lsf-annotation-button__name").filter(has_text=name).click()
    page.wait_for_selector(".lsf-annotation-button_selected .lsf-annotation-button__name")
    page.mouse.move(SIZE["width"] / 2, SIZE["height"] - 10)  # off the tab, which would show a tooltip
    page.wait_for_timeout(500)  # the plots are drawn anew


def draw(page: Page, label: str, start: float, end: float) -> None:
    """Draws a region with the mouse; `start` and `end` are shares of what the first plot shows."""
    page.locator(".lsf-label").filter(has_text=label).click()
    plot = page.locator(".htx-timeseries-channel").first.locator(".new_brush rect.overlay").bounding_box()
    assert plot
    left, right = (plot["x"] + share * plot["width"] for share in (start, end))
    middle = plot["y"] + plot["height"] / 2
    page.mouse.move(left, middle)
    page.mouse.down()
    page.mouse.move((left + right) / 2, middle)
    page.mouse.move(right, middle)
    page.mouse.up()
    page.keyboard.press("Escape")  # else the next label would be this region's


def mark_instant(page: Page, label: str, at: float) -> None:
    """Marks an instant with a double click; `at` is a share of what the first plot shows."""
    page.locator(".lsf-label").filter(has_text=label).click()
    plot = page.locator(".htx-timeseries-channel").first.locator(".new_brush rect.overlay").bounding_box()
    assert plot
    page.mouse.dblclick(plot["x"] + at * plot["width"], plot["y"] + plot["height"] / 2)
    page.keyboard.press("Escape")


def plots(page: Page, first: float, last: float) -> tuple[Plot, list[Plot]]:
    """The overview of a series that lasts from `first` to `last`, and the plot of each channel."""
    read = page.evaluate(READ_PLOTS)
    whole = read["overview"]
    overview = _plot(whole["marks"], whole["width"], first, last)
    window = whole["window"]
    start = first + window["x"] * overview.pixel
    end = start + window["width"] * overview.pixel
    return overview, [_plot(each["marks"], each["width"], start, end) for each in read["channels"]]


def _plot(boxes: list[dict[str, Any]], width: float, first: float, last: float) -> Plot:
    pixel = (last - first) / width
    marks = [
        Mark(
            first + box["x"] * pixel,
            first + (box["x"] + box["width"]) * pixel,
            box["width"],
            _hexadecimal(box["fill"]),
        )
        for box in boxes
        if box["shown"]
    ]
    return Plot(sorted(marks, key=lambda mark: mark.start), pixel)


def _hexadecimal(fill: str) -> str:
    red, green, blue = map(int, re.findall(r"\d+", fill)[:3])
    return f"#{red:02x}{green:02x}{blue:02x}"
