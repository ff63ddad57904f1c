"""The page of ``zoo serve`` in a browser: typing, streaming, dropping a file, looks."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import browser as browser
from browser import overflow, page_at
from served import Server, serving

import zoo

pytest.importorskip("fastapi", reason="needs seqzoo[serve]")

SHOTS = os.environ.get("ZOO_SCREENSHOTS", "")
"""A folder into which screenshots are written, to be looked at."""


@pytest.fixture(scope="module")
def server(sentiment_run: Path, char_lm_run: Path) -> Iterator[Server]:
    endless = ("--max-tokens", "1000000", "--timeout", "600")
    with serving(f"reviews={sentiment_run}", f"writer={char_lm_run}", *endless) as found:
        yield found


def shot(page: Any, name: str) -> None:
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/serve-{name}.png", full_page=True)


def wait_for_text(page: Any, characters: int) -> None:
    """Wait for generated text; the page's policy allows no script that would wait inside it."""
    for _ in range(300):
        if len(page.locator("#generated").text_content()) > characters:
            return
        page.wait_for_timeout(100)
    raise AssertionError("no text was generated")


def test_a_text_is_predicted_as_it_is_typed(
    browser: Any, server: Server, sentiment_run: Path
) -> None:
    text = "A film to remember <b>& see again</b>"
    (expected,) = zoo.load(sentiment_run).predict([text])
    with page_at(browser, server.address) as page:
        page.get_by_label("Text", exact=True).press_sequentially(text, delay=5)
        row = page.locator("#answer tr.chosen")
        row.wait_for()
        page.wait_for_load_state("networkidle")
        assert page.locator("#label").inner_text() == expected.label  # type: ignore[attr-defined]
        share = f"{100 * expected.probability:.1f} %"  # type: ignore[attr-defined]
        assert row.locator("td").last.inner_text() == share
        if page.locator("#words").is_visible():
            assert page.locator("#words-text").inner_text() == text, "input is shown as text"
            assert page.locator("#words-text mark").count() > 3
        assert page.locator("b").count() == 0
        page.get_by_label("Text", exact=True).fill("")
        page.get_by_text("Nothing to predict yet.").wait_for()
        assert page.problems == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_words_are_coloured_by_what_they_add(
    width: int, dark: bool, browser: Any, server: Server
) -> None:
    """With explanations made up here: the page is the same for every task that explains."""
    text = "An \N{ELEPHANT} <i>moving</i> film, but dull"
    words = [("moving", 1.5), ("film", 0.25), ("dull", -0.75), ("\N{ELEPHANT}", 0.5)]
    pieces = [
        {"start": text.index(word), "end": text.index(word) + len(word), "value": value}
        for word, value in sorted(words, key=lambda pair: text.index(pair[0]))
    ]
    explanation = {
        "target": "pos", "score": 1.2, "base": -0.3, "unit": "logit", "pieces": pieces,
        "method": "Integrated gradients.",
    }  # fmt: skip

    def with_explain(route: Any) -> None:
        document = route.fetch().json()
        document["models"][0]["capabilities"].append("explain")
        route.fulfill(json=document)

    with page_at(browser, "about:blank", width, dark=dark) as page:
        page.route("**/v1/models", with_explain)
        page.route("**/v1/explain", lambda r: r.fulfill(json={"explanations": [explanation]}))
        page.goto(server.address)
        page.get_by_label("Text", exact=True).fill(text)
        marks = page.locator("#words-text mark")
        marks.first.wait_for()
        assert page.locator("#words-text").inner_text() == text
        assert marks.all_inner_texts() == ["\N{ELEPHANT}", "moving", "film", "dull"]
        colours = [
            mark.evaluate("each => getComputedStyle(each).backgroundColor") for mark in marks.all()
        ]
        red_of = [int(colour.partition("(")[2].partition(",")[0]) for colour in colours]
        blue_of = [int(colour.split(",")[2].strip()) for colour in colours]
        assert [b > r for r, b in zip(red_of, blue_of, strict=True)] == [True, True, True, False]
        strengths = [float(colour.rstrip(")").split(",")[3]) for colour in colours]
        assert strengths == pytest.approx([0.183, 0.55, 0.092, 0.275], abs=0.003)
        assert (
            "moving +1.50, dull \N{MINUS SIGN}0.75" in page.locator("#words-summary").inner_text()
        )
        shot(page, f"words-{width}-{'dark' if dark else 'light'}")


def test_an_answer_to_an_older_text_is_dropped(browser: Any, server: Server) -> None:
    with page_at(browser, server.address) as page:

        def slow(route: Any) -> None:
            if "older" in (route.request.post_data or ""):
                page.wait_for_timeout(600)
                answer = {"predictions": [{"label": "stale", "scores": {"stale": 1}}]}
                route.fulfill(json=answer)
            else:
                route.continue_()

        page.locator("#predict").wait_for()
        page.route("**/v1/predict", slow)
        page.get_by_label("Text", exact=True).fill("older")
        page.wait_for_timeout(250)
        page.get_by_label("Text", exact=True).fill("newer")
        page.locator("#label").wait_for()
        page.wait_for_timeout(900)
        assert page.locator("#label").inner_text() in ("neg", "pos")


def test_text_streams_until_it_is_stopped(browser: Any, server: Server) -> None:
    with page_at(browser, f"{server.address}/#writer") as page:
        page.get_by_label("Prompt").fill("The ")
        page.get_by_label("Length, in tokens").fill("1000000")
        page.get_by_label("Temperature").fill("0.5")
        page.get_by_role("button", name="Generate").click()
        text = page.locator("#generated")
        wait_for_text(page, 50)
        assert text.inner_text().startswith("The ")
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("Stopped after").wait_for()
        length = len(text.text_content())
        page.wait_for_timeout(300)
        assert len(text.text_content()) == length
        page.get_by_label("Prompt").fill("\N{SNOWMAN}")
        page.get_by_role("button", name="Generate").click()
        assert "vocabulary lacks" in page.get_by_role("alert").inner_text()


def test_a_table_is_predicted_and_downloaded(
    browser: Any, server: Server, sentiment_run: Path
) -> None:
    rows = [["id", "text"]] + [
        [str(n), f'film "{n}", it was\n{"good" if n % 3 else "bad"} <i>x</i>'] for n in range(600)
    ]
    table = io.StringIO()
    csv.writer(table).writerows(rows)
    expected = list(zoo.load(sentiment_run).predict([text for _, text in rows[1:]]))
    with page_at(browser, server.address) as page:
        page.locator("#table").wait_for()
        page.evaluate(
            """content => {
              const make = URL.createObjectURL;
              URL.createObjectURL = (blob) => { window.saved = blob; return make.call(URL, blob); };
              const data = new DataTransfer();
              data.items.add(new File([content], "films.csv", {type: "text/csv"}));
              document.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
            }""",
            table.getvalue(),
        )
        page.locator("#download").wait_for()
        assert page.get_by_label("Column of the texts").input_value() == "1"
        assert "600 texts" in page.locator("#table-status").inner_text()
        assert page.locator("#rows tbody tr").count() == 200
        assert page.locator("#rows i").count() == 0
        text = page.evaluate("saved.text()")
        assert page.problems == []
    found = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    assert found[0] == ["id", "text", "prediction", "probability"]
    assert [row[:2] for row in found] == rows
    for row, prediction in zip(found[1:], expected, strict=True):
        assert row[2] == prediction.label  # type: ignore[attr-defined]
        assert float(row[3]) == pytest.approx(prediction.probability, abs=1e-5)  # type: ignore[attr-defined]


def test_a_token_is_asked_for(browser: Any, char_lm_run: Path) -> None:
    secret = {"ZOO_SERVE_TOKEN": "secret"}
    with serving(char_lm_run, env=secret) as server, page_at(browser, server.address) as page:
        page.get_by_label("The server asks for a token").fill("secret")
        page.get_by_role("button", name="Use it").click()
        page.get_by_label("Prompt").wait_for()


def test_the_api_page_lists_every_operation(browser: Any, server: Server) -> None:
    with page_at(browser, f"{server.address}/docs") as page:
        page.get_by_text("/v1/generate").first.wait_for()
        heads = page.locator("h2 code").all_inner_texts()
        assert {"/v1/predict", "/v1/embed", "/v1/explain", "/v1/models", "/healthz"} <= set(heads)
        assert page.problems == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_pages_fit_their_window(width: int, dark: bool, browser: Any, server: Server) -> None:
    name = f"{width}-{'dark' if dark else 'light'}"
    with page_at(browser, server.address, width, dark=dark) as page:
        page.get_by_label("Text", exact=True).fill(
            "A film to remember: dull at first, then moving, and never too long. " * 2
        )
        page.locator("#label").wait_for()
        page.set_input_files("#file", files=[{
            "name": "texts.txt", "mimeType": "text/plain",
            "buffer": b"A film to remember.\nTwo hours that I want back.\n" + b"long" * 200,
        }])  # fmt: skip
        page.locator("#download").wait_for()
        page.locator("summary").click()
        assert overflow(page) == 0
        shot(page, f"predict-{name}")
    with page_at(browser, f"{server.address}/#writer", width, dark=dark) as page:
        page.get_by_label("Prompt").fill("The ")
        page.get_by_role("button", name="Generate").click()
        page.get_by_text("tokens, ").wait_for()
        assert overflow(page) == 0
        shot(page, f"generate-{name}")
    with page_at(browser, f"{server.address}/docs", width, dark=dark) as page:
        page.get_by_text("/v1/generate").first.wait_for()
        assert overflow(page) == 0
        shot(page, f"docs-{name}")


def test_everything_is_reached_by_keyboard(browser: Any, server: Server) -> None:
    with page_at(browser, f"{server.address}/#writer") as page:
        page.get_by_label("Prompt").focus()
        reached = set()
        for _ in range(8):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.id"))
        assert {"temperature", "top-p", "length", "generate-start"} <= reached
        page.get_by_label("Prompt").focus()
        page.keyboard.press("Control+Enter")
        wait_for_text(page, 5)
