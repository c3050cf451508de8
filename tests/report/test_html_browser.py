"""The report as a browser shows it. Skipped where there is no Chromium with its driver."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from boute.report.html import write_report
from boute.report.study_view import StudyView

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
DRIVER = shutil.which("chromedriver")
HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked=1'>"
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run"
    " --disable-background-networking --disable-component-update --disable-sync"
    " --window-size=1280,900"
)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="needs chromium and chromedriver on the PATH"
)


class Page:
    """The report in a browser, with what a test looks at."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path) -> None:
        self.driver.get(path.as_uri())

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def wait_for(self, script: str, most: int) -> None:
        """Wait until a script returns no more than `most`."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 10).until(lambda _: self.run(script) <= most)

    def count(self, selector: str) -> int:
        return int(self.run(f"return document.querySelectorAll({json.dumps(selector)}).length"))

    def shown_plan(self) -> list[str]:
        return list(
            self.run(
                "return [...document.querySelectorAll('section.plan')]"
                ".filter((part) => part.offsetParent !== null).map((part) => part.dataset.plan)"
            )
        )

    def choose(self, identity: str, label: str) -> None:
        from selenium.webdriver.common.by import By
        from selenium.webdriver.support.ui import Select

        Select(self.driver.find_element(By.ID, identity)).select_by_visible_text(label)

    def front(self, axis: str) -> list[float]:
        found = self.run(
            "return document.getElementById('front-plot').data"
            f".find((trace) => trace.name === 'front').{axis}"
        )
        return [float(value) for value in found]

    def title(self, axis: str) -> str:
        selector = f"#front-plot .{axis}title"
        return str(self.run(f"return document.querySelector('{selector}').textContent"))

    def emulate(self, width: int, scheme: str = "light", medium: str = "screen") -> None:
        command = self.driver.execute_cdp_cmd
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        command("Emulation.setDeviceMetricsOverride", size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        command("Emulation.setEmulatedMedia", {"media": medium, "features": [feature]})

    def errors(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> set[str]:
        messages = (json.loads(entry["message"]) for entry in self.driver.get_log("performance"))
        sent = (each["message"] for each in messages)
        urls = {
            each["params"]["request"]["url"]
            for each in sent
            if each["method"] == "Network.requestWillBeSent"
        }
        return {url for url in urls if not url.startswith(("data:", "blob:"))}


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(str(DRIVER))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture
def page(driver: Any, view: StudyView, tmp_path: Path) -> Page:
    page = Page(driver)
    page.emulate(1280)
    page.requests()
    write_report(view, tmp_path / "report.html")
    page.open(tmp_path / "report.html")
    return page


def test_it_loads_without_errors_and_without_a_network(page: Page) -> None:
    assert page.errors() == []
    requests = page.requests()
    assert len(requests) == 1
    assert requests.pop().startswith("file:")


def test_every_point_is_drawn(page: Page, view: StudyView) -> None:
    dominated = sum(trial.feasible and not trial.on_front for trial in view.trials)
    infeasible = sum(not each.feasible and each.objectives is not None for each in view.trials)
    assert (
        page.count("#front-plot .scatterlayer .point") == len(view.plans) + dominated + infeasible
    )
    assert page.front("x") == pytest.approx([plan.objectives["quality"] for plan in view.plans])
    for name in ("ttft", "tpot", "e2e"):
        assert page.count(f"#curve-{name} .scatterlayer .js-line") == 1
    assert page.count("#progress-plot .scatterlayer .js-line") == 1


def test_a_row_shows_its_plan(page: Page) -> None:
    from selenium.webdriver.common.by import By

    assert page.shown_plan() == ["plan-01"]
    page.driver.find_element(By.CSS_SELECTOR, "tr[data-plan='plan-04'] button").click()
    assert page.shown_plan() == ["plan-04"]
    assert page.run("return document.getElementById('curve-plan').textContent") == "plan-04"
    assert page.count("#curve-ttft .scatterlayer .js-line") == 2
    pressed = (
        "return [...document.querySelectorAll('[aria-pressed=true]')].map((b) => b.textContent)"
    )
    assert page.run(pressed) == ["plan-04"]
    assert page.errors() == []


def test_a_point_shows_its_plan(page: Page) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    points = page.driver.find_elements(
        By.CSS_SELECTOR, "#front-plot .scatterlayer .trace:last-child .point"
    )
    page.run("document.getElementById('front-plot').scrollIntoView()")
    ActionChains(page.driver).move_to_element(points[5]).pause(0.2).click().perform()
    assert page.shown_plan() == ["plan-06"]


def test_the_axes_can_be_chosen(page: Page, view: StudyView) -> None:
    page.choose("axis-x", "Cost")
    assert page.front("x") == pytest.approx(
        [plan.objectives["cost_per_hour"] for plan in view.plans]
    )
    assert page.title("x") == "Cost ($ per hour), lower is better"
    page.choose("axis-y", "Quality")
    assert page.title("y") == "Quality (0 to 1), higher is better"
    page.choose("axis-colour", "none")
    assert page.count("#front-plot .colorbar") == 0
    page.choose("axis-colour", "P95 end-to-end latency")
    assert page.count("#front-plot .colorbar") == 1
    page.choose("axis-size", "Cost")
    assert page.run(
        "return new Set(document.getElementById('front-plot').data.at(-1).marker.size).size"
    ) == len(view.plans)
    assert page.errors() == []


def test_the_plot_opens_on_the_front_and_zooms_out_to_everything(page: Page) -> None:
    read = "return document.getElementById('front-plot').layout.yaxis.range"
    low, high = page.run(read)
    assert (low, high) == pytest.approx((2.6 - 0.12 * 7.2, 9.8 + 0.12 * 7.2))
    page.run("document.getElementById('show-all').click()")
    assert page.run(read)[1] > 14
    page.run("document.getElementById('show-all').click()")
    assert page.run(read) == pytest.approx([low, high])


def test_markup_from_the_user_is_inert(
    page: Page, make_view: Callable[..., StudyView], tmp_path: Path
) -> None:
    view = make_view(title=HOSTILE, spec_file=HOSTILE)
    write_report(view, tmp_path / "hostile.html")
    page.open(tmp_path / "hostile.html")
    assert page.run("return typeof window.hacked") == "undefined"
    assert page.run("return document.querySelector('h1').textContent") == HOSTILE
    assert page.count("img") == 0
    assert page.errors() == []


def test_a_script_that_slips_in_does_not_run(page: Page, tmp_path: Path) -> None:
    text = (tmp_path / "report.html").read_text()
    (tmp_path / "bad.html").write_text(
        text.replace("<main>", "<script>window.hacked = 1</script><main>")
    )
    page.open(tmp_path / "bad.html")
    assert page.run("return typeof window.hacked") == "undefined"
    assert any("Content Security Policy" in message for message in page.errors())


def test_nothing_is_wider_than_the_window(page: Page) -> None:
    for width in (1280, 700, 400):
        page.emulate(width)
        assert page.run("return document.documentElement.scrollWidth") <= width
        # Plots follow the window a moment after it has changed.
        page.wait_for("return document.querySelector('#front-plot svg').clientWidth", width)
    assert page.errors() == []


def colours(page: Page) -> list[list[int]]:
    """Red, green and blue of the page, and of the ticks of the plot."""
    page_colour = page.run("return getComputedStyle(document.body).backgroundColor")
    tick = page.run(
        "return getComputedStyle(document.querySelector('#front-plot .xtick text')).fill"
    )
    return [[int(part) for part in re.findall(r"\d+", each)[:3]] for each in (page_colour, tick)]


def test_plots_follow_the_colour_scheme_and_print_is_light(page: Page) -> None:
    back, tick = colours(page)
    assert min(back) > 200
    assert max(tick) < 130
    page.emulate(1280, "dark")
    page.driver.refresh()
    back, tick = colours(page)
    assert max(back) < 60
    assert min(tick) > 140
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    assert max(colours(page)[1]) < 130
    page.run("window.dispatchEvent(new Event('afterprint'))")
    assert min(colours(page)[1]) > 140
