"""The page that a results document becomes: what is in its file, and what a real browser makes of it."""

from __future__ import annotations

import html as markup
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import browser
import pytest
from documents import cause, document, result, tensor
from hostile import documents
from hypothesis import given, settings
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from bncheck.document import Channel, Document, Element, Expectation, Histogram, Implementation, Stale
from bncheck.reports import html

EVIL = "</script></title><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"

WORST = tensor(6e-5, 21.0).model_copy(
    update={
        "at": [1, 2],
        "actual": 11.99994,
        "expected": 12.0,
        "worst": [Element(at=[1, 2], actual=11.99994, expected=12.0, bound_ratio=21.0)],
        "channels": [Channel(channel=[2], max_abs=6e-5, bound_ratio=21.0)],
        "histogram": Histogram(edges=[0.0, 1.0, 1000.0, float("inf")], counts=[5, 1, 0]),
    }
)

EPSILON = cause("epsilon", "1e-05 used, 0 requested: PyTorch's default.", requested=0.0, effective=1.0e-5)

SMALL = document(
    result("fail", case="axis/a[axis=1]", runner="mine", tensors=[WORST], causes=[EPSILON]),
    result("fail", case="axis/a[axis=1]", runner="other", causes=[EPSILON.model_copy(update={"effective": 9.99e-6})]),
    result(case="axis/a[axis=1]"),
    result(case="axis/a[axis=2]"),
    result("known", "momentum", case="mode/b", expectation=Expectation(source="e.yaml:3:1", reason="known since 2")),
    result("error", case="mode/b", runner="mine", error="killed by SIGSEGV"),
    versions={"mine": "kernel.py:batch_norm"},
)


def many(count: int) -> Document:
    """A document of so many results of 30 runners, of which one in ten fails by its epsilon."""
    runners = [f"runner-{n:02}" for n in range(30)]
    answers = [("fail", "epsilon"), *[("pass",)] * 9]
    return document(
        *(
            result(*answers[(n + at) % 10], case=f"subject-{n // 10}/case-{n:03}", runner=runner, tensors=[tensor()])
            for n in range(count // 30)
            for at, runner in enumerate(runners)
        )
    )


def data(page: str) -> dict[str, Any]:
    """The JSON that stands in a page."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_it_says_first_what_came_of_what_ran() -> None:
    absent = Implementation(runner="haiku", device="cpu", available=False, reason="dm-haiku not installed")
    stale = Stale(source="e.yaml:9:1", entry="torch, mode/b", message="now passes; remove the entry")
    page = html.render(document(*SMALL.results, absent=[absent], stale=[stale], gpu={"name": "NVIDIA H200"}))
    text = markup.unescape(" ".join(re.sub(r"<[^>]*>", " ", page[: page.index("<main>")]).split()))
    assert "2 discrepancies, 1 error, 1 stale expectation" in text
    assert "3 cases x 3 runners on cpu: 6 results" in text
    assert "Python 3.12.1" in text
    assert "GPU NVIDIA H200" in text
    assert "haiku on cpu: dm-haiku not installed" in text
    assert "e.yaml:9:1 torch, mode/b now passes; remove the entry" in text


def test_it_says_that_a_run_was_cut_short() -> None:
    assert "cut short" not in html.render(SMALL)
    page = html.render(SMALL.model_copy(update={"cut_short": True}))
    assert "This run was cut short" in page
    assert "cut short after 6 results" in page


def test_every_result_is_in_it_with_what_a_report_can_say() -> None:
    found = data(html.render(SMALL))
    assert len(found["results"]) == len(SMALL.results)
    first = found["results"][0]
    assert first["state"] == "fail"
    assert first["command"] == "bncheck repro 'axis/a[axis=1]' mine=kernel.py:batch_norm --cases c.yaml"
    assert first["causes"][0]["message"] == EPSILON.message
    assert first["tensors"][0]["worst"][0] == {"at": [1, 2], "actual": 11.99994, "expected": 12.0, "bound_ratio": 21.0}
    assert found["edges"][first["tensors"][0]["histogram"]["edges"]] == ["0", "1", "1000", "inf"]
    assert "axis: 1\n" in found["cases"][0]["yaml"]


def test_what_fails_as_expected_is_told_from_what_is_documented() -> None:
    known = document(
        result("known", "momentum"),
        result("known", "momentum", runner="x", expectation=Expectation(source="e.yaml:1:1", reason="r")),
    )
    assert [r["state"] for r in data(html.render(known))["results"]] == ["documented", "expected"]


def test_two_equal_runs_differ_only_in_when() -> None:
    again = SMALL.model_copy(
        update={
            "started": "2027-01-01T00:00:00+00:00",
            "results": [r.model_copy(update={"seconds": 9.0}) for r in SMALL.results],
        }
    )
    one, other = html.render(SMALL), html.render(again)
    assert one != other
    assert one.replace("2026-11-19T08:00:00", "W").replace("2026-11-19 08:00", "W") == other.replace(
        "2027-01-01T00:00:00", "W"
    ).replace("2027-01-01 00:00", "W")


def test_it_needs_no_other_file() -> None:
    page = html.render(SMALL)
    assert "default-src 'none'" in page
    assert not re.findall(r"<(?:link|img|iframe|object|embed|base)\b|\bsrc=|@import|url\(|\bimport\b", page)
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)[\w.-]+/", page.replace("https://github.com/", ""))


@given(found=documents())
@settings(max_examples=40, deadline=None)
def test_whatever_a_document_says_is_no_markup(found: Document) -> None:
    page = html.render(found)
    assert len(data(page)["results"]) == len(found.results)
    assert page.count("<script") == page.count("</script>") == 2


@pytest.fixture(scope="module")
def chromium() -> Iterator[WebDriver]:
    if browser.installed() is None:
        pytest.skip("no Chromium and chromedriver on the path: the page was not opened in a browser")
    with browser.chromium() as opened:
        yield opened


Open = Callable[..., WebDriver]


@pytest.fixture
def page(chromium: WebDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens a document's page from disk; nothing may have gone wrong in it."""

    def open_(found: Document, address: str = "") -> WebDriver:
        file = tmp_path / "report.html"
        file.write_text(html.render(found), encoding="utf-8")
        chromium.get("about:blank")
        chromium.get(f"{file.as_uri()}#{address}")
        return chromium

    yield open_
    assert chromium.get_log("browser") == []


def count(driver: WebDriver) -> str:
    return driver.find_element(By.ID, "count").text


def until(driver: WebDriver, condition: Callable[[WebDriver], object]) -> None:
    WebDriverWait(driver, 10).until(condition)


def reads(driver: WebDriver, text: str) -> None:
    until(driver, lambda d: text in count(d))


def opened(driver: WebDriver) -> str:
    """What is read in the dialog, "" while it is closed."""
    return driver.find_element(By.ID, "opened").text


def cells(driver: WebDriver, state: str) -> int:
    return len(driver.find_elements(By.CSS_SELECTOR, f"#matrix td.{state}"))


def test_3_000_results_open_and_every_filter_narrows_them(page: Open) -> None:
    driver = page(many(3000))
    assert count(driver) == "All 3,000 results are shown"
    assert cells(driver, "pass") + cells(driver, "fail") == 3000

    driver.find_element(By.CSS_SELECTOR, "[name=verdict][value=fail]").click()
    reads(driver, "300 of 3,000 results shown: 100 cases, 30 implementations")
    assert (cells(driver, "pass"), cells(driver, "fail")) == (0, 300)
    driver.find_element(By.NAME, "runner").send_keys("runner-03")
    reads(driver, "10 of 3,000 results shown: 10 cases, 1 implementation")
    driver.find_element(By.NAME, "text").send_keys("subject-1/ epsilon")
    reads(driver, "1 of 3,000 results shown: 1 case, 1 implementation")
    assert "text=subject-1%2F+epsilon" in driver.current_url

    driver.find_element(By.CSS_SELECTOR, "button[type=reset]").click()
    reads(driver, "All 3,000 results")
    driver.find_element(By.NAME, "cause").send_keys("epsilon")
    reads(driver, "300 of 3,000 results")


def test_the_address_holds_what_is_filtered_and_opened(page: Open) -> None:
    driver = page(many(3000), "verdict=fail&runner=runner-03&case=subject-1/case-017&on=runner-03")
    assert "10 of 3,000" in count(driver)
    assert driver.find_element(By.CSS_SELECTOR, "[name=verdict][value=fail]").is_selected()
    assert driver.find_element(By.NAME, "runner").get_property("value") == "runner-03"
    assert "subject-1/case-017 on runner-03" in opened(driver)


def test_filters_that_nothing_meets_say_so(page: Open) -> None:
    driver = page(SMALL, "text=nowhere")
    assert "0 of 6 results" in count(driver)
    driver.find_element(By.ID, "again").click()
    reads(driver, "All 6 results")


def test_a_result_is_told_in_full(page: Open) -> None:
    driver = page(SMALL, "case=axis/a[axis%3D1]&on=mine")
    told = opened(driver)
    for said in (
        "It differs from what is requested by more than rounding explains.",
        "epsilon 1e-05 used, 0 requested: PyTorch's default.",
        "Largest error 6.0e-5; at most 21 \N{MULTIPLICATION SIGN} the bound, at [1, 2]: 11.99994, should be 12.",
        "[1, 2] 11.99994 12 21",
        "2 6.0e-5 21",
        "1 to 1,000 1",
        "bncheck repro 'axis/a[axis=1]' mine=kernel.py:batch_norm --cases c.yaml",
    ):
        assert said in told
    driver.find_element(By.CSS_SELECTOR, "#opened summary").click()
    assert "layout: NC" in opened(driver)


def test_of_a_case_it_is_told_who_did_what(page: Open) -> None:
    driver = page(SMALL, "case=axis/a[axis%3D1]")
    groups = driver.find_elements(By.CSS_SELECTOR, "#opened .group")
    assert [group.text.split("\n") for group in groups] == [
        ["fail", "epsilon 1e-05 2 implementations", "mine", "other"],
        ["pass", "1 implementation", "torch"],
    ]
    groups[0].find_element(By.LINK_TEXT, "other").click()
    until(driver, lambda d: "axis/a[axis=1] on other" in opened(d))


def test_all_of_it_works_by_keyboard(page: Open) -> None:
    driver = page(SMALL)

    def press(*keys: str) -> None:
        for key in keys:
            driver.switch_to.active_element.send_keys(key)

    driver.find_element(By.ID, "skip").send_keys(Keys.ENTER)
    assert driver.switch_to.active_element.tag_name == "td"
    press(Keys.CONTROL + Keys.HOME, Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    assert driver.switch_to.active_element.get_attribute("aria-label") == "fail: epsilon 1e-05"
    press(Keys.ENTER)
    until(driver, lambda d: "axis/a[axis=1] on mine" in opened(d))
    press(Keys.ESCAPE)
    until(driver, lambda d: not opened(d))
    assert "case=" not in driver.current_url
    assert driver.switch_to.active_element.get_attribute("aria-label") == "fail: epsilon 1e-05"
    press(Keys.ARROW_UP, Keys.HOME, Keys.ENTER)
    assert cells(driver, "pass") == 1  # the cells of the file are folded into one row
    press(Keys.END, Keys.ENTER)
    assert cells(driver, "pass") == 2


def test_text_of_a_document_is_never_run(page: Open) -> None:
    evil = document(
        result("fail", case=f"a/{EVIL}", runner=EVIL, causes=[cause("epsilon", EVIL, source=EVIL)], notes=[EVIL]),
        result("error", case="b", runner="x", error=EVIL),
        result("unsupported", case="c", runner="x", reason=EVIL),
        stale=[Stale(source=EVIL, entry=EVIL, message=EVIL)],
        gpu={"name": EVIL},
        versions={EVIL: EVIL},
    )
    cases = [
        case.model_copy(update={"title": EVIL, "why": EVIL, "links": ["javascript:alert(1)", EVIL]})
        for case in evil.cases
    ]
    driver = page(evil.model_copy(update={"cases": cases}))
    driver.find_element(By.CSS_SELECTOR, "td.fail").click()
    until(driver, lambda d: EVIL in opened(d))
    assert driver.title.startswith("1 discrepancy, 1 error")
    assert not driver.find_elements(By.TAG_NAME, "img")
    assert not driver.find_elements(By.CSS_SELECTOR, "a[href^=javascript]")


@pytest.mark.parametrize("address", ["", "case=axis/a[axis%3D1]&on=mine"])
def test_a_phone_scrolls_the_page_down_only(page: Open, address: str) -> None:
    driver = page(many(3000) if not address else SMALL, address)
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        across = "return [document.documentElement, document.getElementById('opened')].map(e => e.scrollWidth)"
        assert max(driver.execute_script(across)) <= 390
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_every_cell_and_control_has_a_name(page: Open) -> None:
    driver = page(SMALL)
    unnamed = """return [...document.querySelectorAll("#matrix td[class], button, select, input")].filter((each) =>
      !(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.[0]?.textContent.trim())).length"""
    assert driver.execute_script(unnamed) == 0
    assert driver.execute_script("return document.querySelectorAll('#matrix th:not([scope])').length") == 0
