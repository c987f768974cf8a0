"""A figure as SVG: as a file that follows the reader's colour scheme, and as an element of the report.

Text stays text, which can be found, copied and read aloud; figures are laid out for a typeface as wide as Verdana, so
that a reader's own one has room.
"""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

from . import colours
from .signatures import Signed

SMALL_PRINT = "small-print"
"""The gid of the short signature, which the report leaves out: its footer has the whole ones."""
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_REFERENCE = re.compile(r"(?:^|(?<=url\())#([^)]+)")
_FONT = re.compile(r"font-family: [^;]*;? ?")


def as_file(figure: Signed) -> str:
    """The figure as a document with a style for readers whose colour scheme is dark, which browsers follow in an image
    of a page as well, as GitHub shows it.

    It paints its own background, and so it is readable where the scheme of a page is not that of the reader's browser.
    Programs that know no media queries show the light shades.
    """
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata=figure.metadata(".svg"))
    style = f"<style>@media (prefers-color-scheme: dark) {{\n{_dark_rules()}}}</style>\n"
    return drawn.getvalue().replace("</defs>", f"{style}</defs>", 1)


def _dark_rules() -> str:
    """The dark shades, of what names a colour and of what is black by default."""
    rules = [f"svg {{ fill: {colours.INK.dark} }}\n"]
    for colour in (*colours.COLOURS, colours.INK, colours.PAPER):
        for name in ("fill", "stroke"):
            rules.append(f'[style*="{name}: {colour.light}"] {{ {name}: {colour.dark} !important }}\n')
    return "".join(rules)


def inline(document: str, name: str) -> str:
    """The document of `as_file` as an element of an HTML page: in the page's typeface and colours, without background
    and small print.

    ``name`` sets its ids apart from those of other figures. The custom property ``--width`` is its width in points.
    """
    root = ElementTree.fromstring(document)
    width, height = root.attrib["viewBox"].split()[2:]
    for parent in [*root.iter()]:
        for child in [*parent]:
            if child.get("id") == SMALL_PRINT:
                height = f"{_top(child):.2f}"
            if child.get("id") == SMALL_PRINT or _is_left_out(child):
                parent.remove(child)
    referred = {
        target for element in root.iter() for value in element.attrib.values() for target in _REFERENCE.findall(value)
    }
    for element in root.iter():
        element.tag = _local(element.tag)
        kept = {_local(key): value for key, value in element.items() if key != "id" or value in referred}
        element.attrib = {key: _in_page(key, value, name) for key, value in kept.items()}
    root.attrib = {"viewBox": f"0 0 {width} {height}", "style": f"--width: {width}"}
    root.attrib |= {"fill": "currentColor", "stroke-linejoin": "round"}
    return ElementTree.tostring(root, encoding="unicode")


def _top(small_print: ElementTree.Element) -> float:
    """Where the lines of small print begin, from the top of the figure: their transforms end with their base lines."""
    return min(float(line.attrib["transform"].rstrip(")").split()[-1]) for line in small_print) - 6


def _is_left_out(element: ElementTree.Element) -> bool:
    """Whether it is metadata, a style sheet or a background."""
    return _local(element.tag) in ("metadata", "style") or element.get("style") == f"fill: {colours.WHITE}"


def _in_page(key: str, value: str, name: str) -> str:
    """The value of an attribute, with the page's ids and colours."""
    if key == "style":
        return _COLOUR.sub(lambda match: colours.in_page(match[0]), _FONT.sub("", value))
    if key == "id":
        return f"{name}-{value}"
    return _REFERENCE.sub(rf"#{name}-\1", value)


def _local(name: str) -> str:
    """A name of an element or an attribute without its namespace."""
    return re.sub("{[^}]*}", "", name)
