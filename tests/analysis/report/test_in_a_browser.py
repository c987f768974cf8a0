"""The report in headless Chromium: it loads without an error, the slider moves the numbers, nothing overflows."""

import json
import shutil

import pytest
from builders import write_records

from analysis.report.page import write
from analysis.rows import load, select
from analysis.study import Study

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium and chromedriver here: apt-get install chromium chromium-driver"
)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_records(folder)
    return load([folder])


@pytest.fixture(scope="module")
def page(rows, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    write(Study(rows), out)
    return (out / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
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


def _numbers(browser, position):
    """{model: [ECE, NLL, BLEU]} and the temperature, after the slider was moved."""
    return browser.execute_script(
        """const slider = document.getElementById("temperature");
        slider.value = arguments[0]; slider.dispatchEvent(new Event("input"));
        const rows = [...document.querySelectorAll("#numbers tbody tr")].map(
          row => [row.cells[0].textContent.slice(2),
            [...row.querySelectorAll("[data-quantity]")].map(cell => cell.textContent)]);
        return [document.getElementById("at").textContent, Object.fromEntries(rows),
          document.querySelectorAll("#diagram circle, #diagram rect").length]""",
        position,
    )


def test_the_slider_moves_the_numbers_to_those_of_the_records(browser, page, rows):
    _size(browser, 1400)
    browser.get(page)
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
def test_it_loads_without_an_error_and_nothing_overflows(browser, page, width, scheme):
    _size(browser, width, scheme)
    browser.get_log("browser")
    browser.get(page)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    wide = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1] == width
    ink, paper = browser.execute_script(
        "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    )
    light = sum(map(int, paper.removeprefix("rgb(").removesuffix(")").split(","))) > 3 * 128
    assert ink != paper and light == (scheme == "light")


def test_without_javascript_the_figures_stand(browser, page):
    _size(browser, 1400, script=False)
    browser.get(page)
    _size(browser, 1400)  # the page is loaded; the question itself needs a script
    hidden, drawings = browser.execute_script(
        "return [document.getElementById('explorer').hidden, document.querySelectorAll('figure svg').length]"
    )
    assert hidden and drawings == 3
