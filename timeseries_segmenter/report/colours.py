"""A report's colours, of its pictures and its page.

Each label has one, the same everywhere. They can be distinguished with the common forms of
colour blindness (simulated after Machado et al. 2009, doi 10.1109/TVCG.2009.113; most distinct are the
first six), and stand out from white and from black alike, so that they are the same in light and dark.
"""

INK = "#1b1f27"
MUTED = "#5b6370"
FAINT = "#dfe3e8"
PANEL = "#fefefe"
SIGNAL = "#3b4350"
ACCENT = "#3569d4"
OTHER = "#c2570f"
RIGHT = "#2f66d1"  # the same in light and dark, as white text is on it
WRONG = "#c4530c"

DARK = {
    INK: "#e9ebef",
    MUTED: "#a3abb8",
    FAINT: "#343a45",
    PANEL: "#181b21",
    SIGNAL: "#c3cad5",
    ACCENT: "#6f9bf2",
    OTHER: "#f0924a",
}

BACKGROUND = "#868d99"
LABELS = (
    "#37a1f9",
    "#e7844d",
    "#197e61",
    "#a530a4",
    "#775ae4",
    "#bb4717",
    "#c2740a",
    "#8871a4",
    "#d24258",
    "#e470cc",
    "#85a775",
    "#2765b4",
)


def colour(number: int) -> str:
    """That of a class, background is 0; from the thirteenth label on, they come again."""
    return LABELS[(number - 1) % len(LABELS)] if number else BACKGROUND


def text_on(background: str) -> str:
    """White or black, whichever stands out more (WCAG 2.2, relative luminance)."""
    channels = (int(background[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels)
    luminance = sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#ffffff" if luminance < 0.179 else "#000000"
