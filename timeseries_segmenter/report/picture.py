"""A matplotlib figure as a picture for a page: SVG, whose colours follow the reader's light or dark.

Slow to import, as matplotlib is: nothing may import this before a page is asked for.
"""

import re
import threading
import unicodedata
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import Any
from urllib.parse import quote

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text

from timeseries_segmenter.report.colours import DARK, FAINT, INK, MUTED, PANEL

WIDE = 10.0  # inches of a picture over the whole page, of 96 pixels each
HALF = 4.8  # inches of one beside another
SIZE = 9.5  # points of all text
LONGEST_NAME = 18  # columns of a name beside a plot

_drawing = threading.Lock()  # matplotlib's settings are the process's
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # the browser's own letters, that are sharp and can be in any script
    "svg.hashsalt": "report",
    "path.simplify": True,
    "font.size": SIZE,
    "axes.unicode_minus": True,
}
_NUMBER = re.compile(r"(\.\d)\d+")
_STAND_IN = re.compile("Xg([0-9a-f]*)gX")
_PATH = re.compile(r'\bd="([^"]*)"')
_FONTS = (
    "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif!important}"
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture whose address holds all of it. Sizes are in pixels."""

    address: str
    width: int
    height: int
    alt: str


def figure(width: float, height: float) -> Figure:
    """An empty figure; sizes in inches."""
    return Figure(figsize=(width, height), facecolor=PANEL)


def axes(within: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes without a frame in a part of a figure; sizes in inches."""
    total_width, total_height = within.get_size_inches()
    plot = within.add_axes(
        (left / total_width, bottom / total_height, width / total_width, height / total_height),
        facecolor="none",
    )
    for spine in plot.spines.values():
        spine.set_visible(False)
    plot.tick_params(length=0, labelsize=SIZE, colors=MUTED, pad=4)
    return plot


def write(plot: Axes, x: float, y: float, text: str, **style: object) -> Text:
    """Text as it is, in any script; see `_stand_in`."""
    return plot.text(x, y, _stand_in(text), **({"color": INK, "fontsize": SIZE} | style))  # type: ignore[arg-type]


def _stand_in(text: str) -> str:
    """What matplotlib sees of a text: letters that its font has, as high and as deep as any.

    It would take what is between two $ for mathematics, and warn of letters that its font lacks.
    """
    return f"Xg{text.encode('utf-8', 'replace').hex()}gX"


def _as_written(stand_in: re.Match[str]) -> str:
    return escape(bytes.fromhex(stand_in[1]).decode(), quote=False)


def short(name: str, most: int = LONGEST_NAME) -> str:
    """A name that takes at most so many columns, on one line."""
    name = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
    if columns(name) <= most:
        return name
    while columns(name) > most - 1:
        name = name[:-1]
    return name.rstrip() + "…"


def columns(text: str) -> int:
    """How many letters of the Latin alphabet take as much room."""
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def grid(plot: Axes, axis: str) -> None:
    """Faint lines behind everything, across `axis` ("x" or "y")."""
    plot.grid(visible=True, axis=axis, color=FAINT, linewidth=0.8)  # type: ignore[arg-type]
    plot.set_axisbelow(True)


def picture(fig: Figure, alt: str) -> Picture:
    """The figure as SVG in a `data:` address."""
    written = StringIO()
    FigureCanvasSVG(fig)  # no windows
    with _drawing, mpl.rc_context(_SETTINGS):
        fig.savefig(
            written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = _STAND_IN.sub(_as_written, _PATH.sub(_shorter, svg)).replace(
        "<defs>", f"<defs><style>{_style()}</style>", 1
    )
    width, height = fig.get_size_inches() * 96
    # quoted letter by letter only where an attribute or an address needs it: base64 takes a quarter more
    address = "data:image/svg+xml," + quote(" ".join(svg.split()), safe=" =:/;,.()-!*+@?$|{}[]^_~'")
    return Picture(address, round(width), round(height), alt)


def _shorter(path: re.Match[str]) -> str:
    """A path with a tenth of a point as its unit."""
    return f'd="{_NUMBER.sub(_first_digit, path[1])}"'


def _first_digit(number: re.Match[str]) -> str:
    return number[1]


def _style() -> str:
    rules = "".join(
        f'[style*="{what}: {light}"]{{{what}:{dark}!important}}'
        for light, dark in DARK.items()
        for what in ("fill", "stroke")
    )
    return f"{_FONTS}@media(prefers-color-scheme:dark){{{rules}}}"
