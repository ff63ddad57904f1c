"""Pages that are wrong fail: how blocks are run, and outputs compared with what a page shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from documentation.output import agree, refresh
from documentation.page import read_page
from update_documentation import update

LOG = ["epoch 1, step 20, 3 s: loss 0.50", "epoch 2, step 40, 5 s: loss 0.40", "saved in runs/a"]


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        (["accuracy 0.991"], ["accuracy 0.985"]),
        (["4,574 texts"], ["4,600 texts"]),
        (["epoch 2, 12 s, 1,500 rows/s"], ["epoch 2, 240 s, 9 rows/s"]),
        (["zoo 0.5.0"], ["zoo 0.6.1"]),
        (["written to runs/2026-11-28_070101"], ["written to runs/2027-01-02_235959"]),
        (["name   lstm"], ["name    lstm  "]),
        (["a … c"], ["a b b c"]),
        (["...", LOG[1], "..."], LOG),
        (["...", LOG[2]], LOG),
        (["...", "epoch 2, step 40, … s: loss …", "..."], LOG),
        (["..."], []),
    ],
)
def test_outputs_agree(shown: list[str], found: list[str]) -> None:
    assert agree(shown, found)


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        (["accuracy 0.991"], ["accuracy 0.960"]),
        (["spam 0.99"], ["ham 0.99"]),
        (["a"], ["a", "b"]),
        (["a", "b"], ["a"]),
        ([], ["a"]),
        (["..."][:0], ["warning: x"]),
        (["...", "epoch 3 …", "..."], LOG),
        (["a … c"], ["a b"]),
        ([LOG[0], "...", LOG[0]], LOG),
    ],
)
def test_outputs_differ(shown: list[str], found: list[str]) -> None:
    assert not agree(shown, found)


def test_an_update_keeps_what_agrees_and_what_is_left_out() -> None:
    shown = [LOG[0].replace("0.50", "0.51"), "...", "saved in … "]
    assert refresh(shown, LOG) == shown
    worse = [line.replace("0.5", "0.9") for line in LOG]
    assert refresh(shown, worse) == [worse[0], *shown[1:]]
    assert refresh(["something else"], LOG) == LOG


WRONG = {
    "another output": "```console\n$ echo hello\ngoodbye\n```\n",
    "a failure that is not shown": "```console\n$ (exit 3)\n```\n",
    "an exit code": "```sh\nfalse\ntrue\n```\n",
    "an exception": "```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n",
    "a value": "```pycon\n>>> 1 + 1\n3\n```\n",
    "an ended process": "```python\nimport os\nos._exit(1)\n```\n",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_page_that_is_wrong_fails(text: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text)
    page = read_page(tmp_path / "page.md")
    with page.session():
        for example in page.examples[:-1]:
            example.evaluate()
        with pytest.raises(Exception, match=r"goodbye|exit code|assert|Expected|ended"):
            page.examples[-1].evaluate()


RIGHT = """\
`package/values.py`:

```python
ANSWER = 42
```

```console
$ mkdir inner && cd inner
$ export NAME=page
$ echo $NAME \\
      $(basename "$PWD") >&2; python -c "print(1 / 0)"
page inner
Traceback (most recent call last):
...
ZeroDivisionError: …
```

1. In a list:

   ```pycon
   >>> from package.values import ANSWER
   >>> ANSWER
   42
   ```
"""


def test_files_are_written_and_folder_variables_and_names_are_kept(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(RIGHT)
    page = read_page(tmp_path / "page.md")
    with page.session():
        for example in page.examples:
            example.evaluate()


def test_an_update_writes_the_real_output(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(RIGHT.replace("page inner", "wrong").replace("42\n", "42\n"))
    update(read_page(tmp_path / "page.md"))
    text = (tmp_path / "page.md").read_text()
    assert "(most recent call last):\n  File" in text
    assert "page inner\n" in text
    update(read_page(tmp_path / "page.md"))
    assert (tmp_path / "page.md").read_text() == text
