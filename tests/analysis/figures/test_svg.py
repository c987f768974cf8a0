"""The colours of figures, and their SVG as a file and as an element of the report."""

import re
from xml.etree import ElementTree

import pytest
from builders import row
from wcag import contrast

from analysis.figures import colours, layout, svg
from analysis.figures.colours import COLOURS, FAINT, INK, PAPER, SMALL_PRINT

REPORT = "#181818"
"""The dark page of the report; `test_in_a_browser` measures what it shows."""


@pytest.mark.parametrize("colour", [*COLOURS, INK], ids=lambda colour: colour.name)
def test_every_colour_is_readable_on_light_and_on_dark_pages(colour):
    least = 4.5 if colour.light in (SMALL_PRINT, INK.light) else 3
    assert contrast(colour.light, PAPER.light) >= least
    assert all(contrast(colour.dark, page) >= least for page in (PAPER.dark, REPORT))


def test_every_look_has_a_colour_of_the_palette_and_each_is_another():
    shades = [look.colour for look in layout.LOOKS.values()]
    assert set(shades) <= {colour.light for colour in (*COLOURS, INK)}
    dark = [next(colour.dark for colour in (*COLOURS, INK) if colour.light == shade) for shade in shades]
    assert len(set(shades)) == len(set(dark)) == len(shades)


@pytest.fixture(scope="module")
def document():
    fig, (axis,) = layout.new(1, 1, width=10)
    axis.plot([0, 1], [0, 1], color=colours.RED, marker="o", mfc=colours.WHITE)
    axis.plot([0, 2], color=FAINT, clip_on=True)
    axis.set_title('a #d55e00 title </svg><script> id="x"')
    layout.sign(fig, [row()])
    return svg.as_file(fig)


def test_a_file_has_a_dark_shade_of_everything_that_it_draws(document):
    drawn = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", document.split("</defs>", 1)[1]))
    assert {colours.RED, FAINT, INK.light, PAPER.light, SMALL_PRINT} <= drawn
    (style,) = re.findall(r"<style>(@media \(prefers-color-scheme: dark\).*?)</style>", document, re.DOTALL)
    for shade in drawn:
        assert f'[style*="stroke: {shade}"]' in style and f'[style*="fill: {shade}"]' in style
    assert f"svg {{ fill: {INK.dark} }}" in style  # text, which names no colour
    assert row().record.signature in document


def test_in_the_page_a_figure_has_the_pages_colours_and_no_background(document):
    root = ElementTree.fromstring(svg.inline(document, "name"))
    styles = " ".join(element.get("style", "") for element in root.iter())
    assert "#" not in styles and "font-family" not in styles
    assert "stroke: currentColor" in styles and "stroke: var(--red)" in styles and "stroke: var(--faint-line)" in styles
    assert "fill: var(--paper); stroke: var(--red)" in styles  # the inside of a marker
    assert not [element for element in root.iter() if element.get("style") == "fill: var(--paper)"]
    assert root.get("fill") == "currentColor" and not root.findall(".//style") and not root.findall(".//metadata")


def test_in_the_page_a_figure_ends_above_its_small_print(document):
    original = ElementTree.fromstring(document)
    root = ElementTree.fromstring(svg.inline(document, "name"))
    (width, height), (_, before) = ([float(n) for n in of.get("viewBox").split()[2:]] for of in (root, original))
    assert row().record.signature not in "".join(root.itertext())
    assert before - 20 < height < before and root.get("style") == f"--width: {width:g}"
    lowest = max(float(text.get("transform").rstrip(")").split()[-1]) for text in root.iter("text"))
    assert lowest < height


def test_in_the_page_ids_are_of_the_figure_and_lead_somewhere(document):
    root = ElementTree.fromstring(svg.inline(document, "name"))
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    targets = {value.split("#")[1].rstrip(")") for e in root.iter() for value in e.attrib.values() if "#" in value}
    assert set(ids) == targets and len(ids) == len(set(ids)) and all(name.startswith("name-") for name in ids)


def test_in_the_page_text_stays_what_it_was(document):
    text = svg.inline(document, "name")
    assert 'a #d55e00 title &lt;/svg&gt;&lt;script&gt; id="x"' in text


def test_the_style_sheet_names_every_colour_of_the_page_in_both_schemes():
    light, dark = colours.style_sheet().split("@media (prefers-color-scheme: dark)")
    for colour in COLOURS:
        assert f"--{colour.name}: {colour.light};" in light and f"--{colour.name}: {colour.dark};" in dark
        assert colours.in_page(colour.light) == f"var(--{colour.name})"
