"""How long the html report takes to be rendered, opened and filtered, with 3,000 and with 20,000 results.

bncheck run cases/ --runner '*' --report json=results.json
PYTHONPATH=tests/reports python tests/benchmarks/html_report.py results.json
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from browser import chromium
from selenium.webdriver.remote.webdriver import WebDriver

from bncheck.document import Document, parse
from bncheck.reports import html

ROUNDS = 5
FILTERS = {
    "verdict": ("[name=verdict][value=fail]", "checked", True),
    "cause": ("[name=cause]", "selectedIndex", 1),
    "runner": ("[name=runner]", "selectedIndex", 1),
    "text": ("[name=text]", "value", "float16"),
}

PAINTED = "const painted = (then) => requestAnimationFrame(() => requestAnimationFrame(then));"

OPENED = f"{PAINTED} const done = arguments[0]; painted(() => done(performance.now()));"

FILTERED = f"""{PAINTED}
const [selector, property, value, done] = arguments;
const control = document.querySelector(selector);
const started = performance.now();
addEventListener("hashchange", () => painted(() => done(performance.now() - started)), {{ once: true }});
control[property] = value;
control.dispatchEvent(new Event("input", {{ bubbles: true }}));"""


def repeated(found: Document, results: int) -> Document:
    """A document of so many results: the cases again under other names, as far as it takes."""
    times = range(-(-results // len(found.results)))

    def again(name: str, n: int) -> str:
        return f"again-{n}/{name}" if n else name

    cases = [case.model_copy(update={"id": again(case.id, n)}) for n in times for case in found.cases]
    copies = [result.model_copy(update={"case": again(result.case, n)}) for n in times for result in found.results]
    named = {result.case for result in copies[:results]}
    return found.model_copy(update={"cases": [case for case in cases if case.id in named], "results": copies[:results]})


def opened(browser: WebDriver, page: str) -> float:
    browser.get("about:blank")
    browser.get(page)
    return browser.execute_async_script(OPENED)


def main() -> None:
    found = parse(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for size in (3_000, 20_000):
            document = repeated(found, size)
            started = time.perf_counter()
            text = html.render(document)
            rendered = time.perf_counter() - started
            file = Path(folder) / f"{size}.html"
            file.write_text(text, encoding="utf-8")
            print(f"{len(document.results):,} results: rendered in {rendered:.1f} s, {len(text) / 1e6:.1f} MB")
            page = file.as_uri()
            print(f"  open      {statistics.median(opened(browser, page) for _ in range(ROUNDS)):6.0f} ms")
            for name, (selector, attribute, value) in FILTERS.items():
                taken = []
                for _ in range(ROUNDS):
                    opened(browser, page)
                    taken.append(browser.execute_async_script(FILTERED, selector, attribute, value))
                print(f"  {name:<8}  {statistics.median(taken):6.0f} ms")


if __name__ == "__main__":
    main()
