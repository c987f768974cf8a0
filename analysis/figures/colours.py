"""The colours of figures, each with a shade for light pages and one for dark pages.

Red, blue and green are those of Okabe and Ito, which colour-blind readers tell apart; their other colours are too pale
for thin lines on white. The contrast to the page is 3 or more of lines and marks, 4.5 or more of text.
"""

from __future__ import annotations

from typing import NamedTuple


class Colour(NamedTuple):
    """A colour: its name in the style sheet of the report, and its shades."""

    name: str
    light: str
    dark: str


BLACK, WHITE = "#000000", "#ffffff"
RED, BLUE, GREEN, SKY = "#d55e00", "#0072b2", "#009e73", "#4a93f5"
PURPLE, AMBER, GREY = "#bd6a9e", "#705500", "#6e6e6e"
FAINT = "#858585"
"""Of lines and bars that are of no model: a diagonal, a limit, counts."""
SMALL_PRINT = "#666666"

COLOURS = (
    Colour("red", RED, "#e8823c"),
    Colour("blue", BLUE, "#4d9ff0"),
    Colour("green", GREEN, "#35c596"),
    Colour("sky", SKY, "#a6d8ff"),
    Colour("purple", PURPLE, "#e48bbd"),
    Colour("amber", AMBER, "#e9c545"),
    Colour("grey", GREY, "#8f8f8f"),
    Colour("faint-line", FAINT, FAINT),
    Colour("small-print", SMALL_PRINT, "#a5a5a5"),
)
INK = Colour("ink", BLACK, "#e4e4e4")
PAPER = Colour("paper", WHITE, "#0d1117")
"""The page; the dark one is GitHub's."""


def in_page(shade: str) -> str:
    """The CSS value in the report of a colour in its light shade; black is the colour of the text around it."""
    values = {colour.light: f"var(--{colour.name})" for colour in (*COLOURS, PAPER)} | {BLACK: "currentColor"}
    return values.get(shade, shade)


def style_sheet() -> str:
    """The CSS of the names that `in_page` gives, except ``--paper``, which is the page's own."""
    light = " ".join(f"--{colour.name}: {colour.light};" for colour in COLOURS)
    dark = " ".join(f"--{colour.name}: {colour.dark};" for colour in COLOURS)
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
