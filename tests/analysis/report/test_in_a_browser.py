"""The report in headless Chromium, narrow and wide, light and dark: what can be read, and what the slider moves."""

import base64
import io
import itertools
import json
import re
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from builders import item_bins, record, write, write_activations, write_records, write_world
from PIL import Image
from wcag import contrast, rgb

from analysis.figures import colours, layout
from analysis.report.page import write as write_report
from analysis.rows import Row, load, select
from analysis.study import Study
from mt_ls.calibration.bins import Bins

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium and chromedriver here: apt-get install chromium chromium-driver"
)

KINDS = ("translation", "images", "audit", "text")
NARROW, WIDE = 390, 1400
ON_EVERY_PAGE = [
    pytest.mark.parametrize("kind", KINDS),
    pytest.mark.parametrize("width", [NARROW, WIDE]),
    pytest.mark.parametrize("scheme", ["light", "dark"]),
]


def on_every_page(test):
    for mark in ON_EVERY_PAGE:
        test = mark(test)
    return test


def _write_translations(folder):
    """Records of beam searches alone, of two systems of unknown training."""
    rng = np.random.default_rng(0)
    confidence = rng.beta(3, 1, 2000)
    bins = item_bins(confidence, rng.random(2000) < confidence, np.arange(2000) % 20, 20)
    for name in ("mine", "theirs"):
        of = record(
            run=name,
            smoothing=None,
            seed=None,
            mode="beam",
            nll=None,
            bins=Bins.from_sums(bins.sum(0)),
            bleu={"score": 20.0, "signature": "x"},
            bins_by_class={"others": Bins.from_sums(bins.sum(0)), "eos": Bins.of([0.9, 0.7], [1, 0])},
            n_left_out=7,
        )
        counts = np.tile([9, 9, 8, 6, 4, 2, 9, 8, 7, 6], (20, 1))
        write(folder, of, bins=bins, bleu=counts, text=[f"Satz {i}" for i in range(20)])


def _audited(rows, n):
    """The rows as those of ``n`` runs with long names."""
    names = [f"experiment_{i}/checkpoints-checkpoint_best.pt" for i in range(n)]
    return [Row(msgspec.structs.replace(row.record, run=name), row.folder) for name in names for row in rows]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_records(folder)
    write_activations(folder)
    return load([folder])


@pytest.fixture(scope="module")
def pages(rows, tmp_path_factory):
    """The addresses of a report of each kind."""
    out = tmp_path_factory.mktemp("reports")
    images, text = (tmp_path_factory.mktemp(name) for name in ("images", "text"))
    write_world(images, True, seeds=(1,))
    _write_translations(text)
    audited = [row for row in select(rows, amount=0.1) if row.record.mode != "activations"]
    studies = {
        "translation": Study(rows),
        "images": Study(load([images])),
        "audit": Study(_audited(audited, 3), "run"),
        "text": Study(load([text]), "run"),
    }
    for kind, study in studies.items():
        write_report(study, out / kind)
    return {kind: (out / kind / "report.html").as_uri() for kind in studies}


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def _size(browser, width, scheme="light", script=True):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})


def _pixels(browser, box):
    """The picture (height, width, 3) of a box of the page, given as x, y, width, height."""
    clip = dict(zip(("x", "y", "width", "height"), box, strict=True), scale=1)
    options = {"format": "png", "captureBeyondViewport": True, "clip": clip}
    data = browser.execute_cdp_cmd("Page.captureScreenshot", options)["data"]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(float)


@on_every_page
def test_it_loads_without_an_error_and_nothing_overflows(browser, pages, kind, width, scheme):
    _size(browser, width, scheme)
    browser.get_log("browser")
    browser.get(pages[kind])
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    wide = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1] == width
    ink, paper = browser.execute_script(
        "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    )
    assert contrast(ink, paper) > 7 and (sum(rgb(paper)) > 3 * 128) == (scheme == "light")


_DRAWN = """
const shown = [...document.querySelectorAll(".drawing svg, #diagram, #numbers .mark")];
return shown.flatMap(svg => [...svg.querySelectorAll("text, path, use, line, polyline, rect")].filter(
  node => !node.closest("defs, clipPath") && node.getBoundingClientRect().width + node.getBoundingClientRect().height
).map(node => {
  const style = getComputedStyle(node), text = node.tagName == "text";
  return { text: text ? node.textContent : null, fill: style.fill, stroke: style.stroke,
    opacity: [style.opacity, style.fillOpacity, style.strokeOpacity],
    size: text ? parseFloat(style.fontSize) * svg.getScreenCTM().a : null };
}));"""


@on_every_page
def test_figures_are_legible(browser, pages, kind, width, scheme):
    """Text has 9 pixels or more and a contrast of 4.5 to the page; lines and marks have a contrast of 3, before
    bands and what is faded let the page through."""
    _size(browser, width, scheme)
    browser.get(pages[kind])
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    drawn = browser.execute_script(_DRAWN)
    assert len(drawn) > 100
    for node in drawn:
        if node["text"] is not None:
            assert node["opacity"] == ["1"] * 3, node
            assert node["size"] >= 9 and contrast(node["fill"], paper) >= 4.5, node
        else:
            shades = [shade for shade in (node["fill"], node["stroke"]) if shade not in ("none", paper)]
            assert all(contrast(shade, paper) >= 3 for shade in shades), node


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_files_of_figures_are_legible_in_both_schemes(browser, pages, kind, scheme):
    _size(browser, WIDE, scheme)
    files = sorted(Path(pages[kind].removeprefix("file://")).parent.glob("figures/*.svg"))
    assert files
    for file in files:
        browser.get(file.as_uri())
        paper, *drawn = browser.execute_script(
            """return [...document.querySelectorAll("#figure_1 > #patch_1 path, text, path, use")].filter(
              node => !node.closest("defs")).map(node => {
                const { fill, stroke } = getComputedStyle(node);
                return [node.tagName == "text", fill, stroke];
              })"""
        )
        assert (sum(rgb(paper[1])) > 3 * 128) == (scheme == "light") and len(drawn) > 40
        for is_text, *shades in drawn:
            inked = [shade for shade in shades if shade not in ("none", paper[1])]
            assert all(contrast(shade, paper[1]) >= (4.5 if is_text else 3) for shade in inked), (file.name, shades)


_LABELS = """
const box = (node, { left, top, right, bottom }) => [node.textContent, left, top, right, bottom];
return [...document.querySelectorAll(".drawing svg, #diagram")].map(svg =>
  [...svg.querySelectorAll("text"), svg].map(node => box(node, node.getBoundingClientRect())));"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_no_label_lies_over_another_one_or_is_cut(browser, pages, kind, width):
    _size(browser, width)
    browser.get(pages[kind])
    for *labels, (_, left, top, right, bottom) in browser.execute_script(_LABELS):
        for name, *box in labels:
            assert box[0] >= left - 1 and box[1] >= top - 1 and box[2] <= right + 1 and box[3] <= bottom + 1, name
        for (one, *a), (other, *b) in itertools.combinations(labels, 2):
            across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
            assert across <= 1 or down <= 2, (one, other)  # a line's box has room above and below its letters


@on_every_page
def test_what_is_wider_than_its_box_hints_that_it_scrolls(browser, pages, kind, width, scheme):
    """A shade lies at the right edge while something is hidden there, and at none where nothing is."""
    _size(browser, width, scheme)
    browser.get(pages[kind])
    paper = rgb(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    boxes = browser.find_elements("css selector", ".scroll, .drawing")
    n_scrolling = 0
    for box in boxes:
        place = "const b = arguments[0].getBoundingClientRect(); return [b.x + scrollX, b.y + scrollY, b.width];"
        x, y, wide = browser.execute_script(place, box)
        if wide == 0:
            continue
        hidden = browser.execute_script("return arguments[0].scrollWidth - arguments[0].clientWidth", box)
        edge = (x + wide - 3, y + 2, 3, 6)
        shade = np.abs(_pixels(browser, edge).mean((0, 1)) - paper).max()
        assert (shade > 25) == (hidden > 0), (hidden, shade)
        if hidden > 0:
            n_scrolling += 1
            browser.execute_script("arguments[0].scrollLeft = 1e6", box)
            assert np.abs(_pixels(browser, edge).mean((0, 1)) - paper).max() < 10
    assert n_scrolling > 0 or width == WIDE


@pytest.mark.parametrize("kind", KINDS)
def test_narrow_tables_show_numbers_beside_their_first_column(browser, pages, kind):
    _size(browser, NARROW)
    browser.get(pages[kind])
    tables = [table for table in browser.find_elements("css selector", ".scroll") if table.is_displayed()]
    assert tables
    for table in tables:
        before, after = browser.execute_script(
            """const box = arguments[0], edge = box.getBoundingClientRect();
            const cells = () => [...box.querySelector("tbody tr").cells].map(cell => cell.getBoundingClientRect());
            const shown = cells().filter(c => c.left >= edge.left && c.right <= edge.right).length;
            box.scrollLeft = 1e6;
            return [shown, cells()[0].left - edge.left];""",
            table,
        )
        assert before >= 2 and after == pytest.approx(0, abs=1)


def _numbers(browser, position):
    """{model: [ECE, NLL, BLEU]} and the temperature, after the slider was moved, and the number of points."""
    return browser.execute_script(
        """const slider = document.getElementById("temperature");
        slider.value = arguments[0]; slider.dispatchEvent(new Event("input"));
        const rows = [...document.querySelectorAll("#numbers tbody tr")].map(
          row => [row.cells[0].textContent,
            [...row.querySelectorAll("[data-quantity]")].map(cell => cell.textContent)]);
        return [document.getElementById("at").textContent, Object.fromEntries(rows),
          document.querySelectorAll("#diagram .point").length]""",
        position,
    )


def test_the_slider_moves_the_numbers_to_those_of_the_records(browser, pages, rows):
    _size(browser, WIDE)
    browser.get(pages["translation"])
    measured = json.loads(browser.execute_script("return document.getElementById('measured').textContent"))
    temperatures = measured["temperatures"]
    assert temperatures == [0.8, 1.0, 1.2]
    for position, temperature in enumerate(temperatures):
        at, shown, n_points = _numbers(browser, position)
        assert at == f"{temperature:.2f}" and n_points > 0
        for name, amount in (("α = 0", 0.0), ("α = 0.1", 0.1)):
            here = select(rows, split="test", amount=amount, temperature=temperature)
            (forced,), (beam,) = (select(here, mode=mode) for mode in ("forced", "beam"))
            ece, nll, bleu = forced.record.bins.ece(), forced.record.nll, beam.record.bleu["score"]
            assert shown[name] == [f"{ece:.4f}", f"{nll:.3f}", f"{bleu:.1f}"], (temperature, amount)


def test_a_model_can_be_left_out_of_the_diagram(browser, pages):
    _size(browser, WIDE)
    browser.get(pages["translation"])
    count = "return document.querySelectorAll('#diagram .curve').length"
    box = browser.find_element("css selector", "#numbers input")
    n_curves = [browser.execute_script(count)]
    for _ in range(2):
        box.click()
        n_curves.append(browser.execute_script(count))
    assert n_curves == [2, 1, 2]


@pytest.fixture(params=[1, 12])
def page_of_models(request, pages, rows, tmp_path):
    """The number of models in a report's slider, and the report's address."""
    html = Path(pages["audit"].removeprefix("file://")).read_text(encoding="utf-8")
    (text,) = re.findall(r'id="measured">(.*?)</script>', html)
    measured = json.loads(text)
    looks = layout.looks(Study(_audited(rows[:1], request.param), "run").entries, "run")
    measured["models"] = [
        measured["models"][0] | {"name": name, "colour": colours.in_page(look.colour), "marker": look.marker}
        for name, look in looks.items()
    ]
    page = tmp_path / "report.html"
    page.write_text(html.replace(text, json.dumps(measured)), encoding="utf-8")
    return request.param, page.as_uri()


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_diagram_has_a_colour_and_a_marker_a_model(browser, page_of_models, width, scheme):
    n, page = page_of_models
    _size(browser, width, scheme)
    browser.get(page)
    in_table, in_diagram = (
        browser.execute_script(
            """return [...document.querySelectorAll(arguments[0] + " .point")].map(
              node => getComputedStyle(node).fill + node.getAttribute("d"))""",
            place,
        )
        for place in ("#numbers", "#diagram")
    )
    assert len(in_table) == len(set(in_table)) == n and set(in_diagram) == set(in_table)
    numbers = browser.execute_script(
        "const b = document.querySelector('.panes .scroll'); return [b.scrollWidth, b.clientWidth, innerWidth]"
    )
    assert numbers[0] <= numbers[1] <= numbers[2]


def test_without_javascript_the_figures_stand(browser, pages):
    _size(browser, WIDE, script=False)
    browser.get(pages["translation"])
    _size(browser, WIDE)  # the page is loaded; the question itself needs a script
    hidden, drawings = browser.execute_script(
        "return [document.getElementById('explorer').hidden, document.querySelectorAll('figure svg').length]"
    )
    assert hidden and drawings == 5
