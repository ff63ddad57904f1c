"""Make the pictures of README.md: real output of real commands (``make pictures``).

They need a Chromium, and are of data that zoo has itself: the sample and the published weights.
"""

from __future__ import annotations

import os
import pty
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.text import Text

FOLDER = Path(__file__).parent / "pictures"
ZOO = [sys.executable, "-m", "zoo"]
ENVIRONMENT = {**os.environ, "COLUMNS": "80", "TERM": "xterm-256color"}
TEXTS = ["Slow at first, but the ending is superb.", "A mess."]
TERMINAL = (
    "<body style='margin:0;background:#0d1117'><pre style='font:15px/1.45 monospace;"
    "color:#e6edf3;padding:18px 22px;margin:0;display:inline-block'>{code}</pre>"
)


def output_on_terminal(command: Sequence[str]) -> str:
    """Return what a command writes to a terminal of 80 columns, with its colours."""
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        [*ZOO, *command], stdin=inner, stdout=inner, stderr=inner, env=ENVIRONMENT
    )
    os.close(inner)
    found = b""
    while True:
        try:
            found += os.read(outer, 4096)
        except OSError:  # The command has ended.
            break
    os.close(outer)
    if process.wait():
        raise SystemExit(f"{command} failed: {found.decode()}")
    return found.decode().replace("\r", "")


def terminal(browser: Browser, name: str, outputs: Sequence[tuple[str, str]]) -> None:
    """Draw commands and what they wrote."""
    console = Console(record=True, width=80, file=StringIO(), force_terminal=True)
    for command, output in outputs:
        console.print(Text(f"$ {command}", style="bold"))
        console.print(Text.from_ansi(output))
    html = console.export_html(inline_styles=True, code_format=TERMINAL)
    page = browser.new_page(device_scale_factor=2)
    page.set_content(html)
    page.locator("pre").screenshot(path=FOLDER / f"{name}.png")


def screenshot(browser: Browser, name: str, url: str, prepare: str = "") -> Page:
    """Draw the top of a page, after a text was typed into it."""
    page = browser.new_page(viewport={"width": 1000, "height": 640}, device_scale_factor=1.5)
    page.goto(url)
    if prepare:
        page.locator("textarea").first.fill(prepare)
        page.wait_for_timeout(3000)
    page.screenshot(path=FOLDER / f"{name}.png")
    return page


@contextmanager
def serving(*models: str) -> Iterator[str]:
    """Serve models while pictures are made; return the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([*ZOO, "serve", *models, "--port", str(port)], env=ENVIRONMENT)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/healthz")
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        explained = output_on_terminal(["explain", "imdb-bilstm", *TEXTS])
        quoted = " ".join(f"'{text}'" for text in TEXTS)
        terminal(browser, "explain", [(f"zoo explain imdb-bilstm \\\n    {quoted}", explained)])
        run = Path(folder) / "reviews"
        command = ["train", "sample-lstm", "--out", str(run), "--quiet", "--steps", "240"]
        subprocess.run([*ZOO, *command, "--set", "evaluate_every=20"], check=True, env=ENVIRONMENT)
        screenshot(browser, "report", (run / "report.html").as_uri())
        with serving("imdb-bilstm", "island-lstm") as address:
            screenshot(browser, "serve", address, TEXTS[0])


if __name__ == "__main__":
    main()
