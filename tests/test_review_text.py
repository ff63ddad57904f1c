"""The text that the recipe reviews-char-lm learns is made of reviews, the same each time."""

from __future__ import annotations

from pathlib import Path

from benchmarks.review_text import write


def test_training_reviews_alone_become_a_text(tmp_path: Path) -> None:
    for part in ("train", "test"):
        folder = tmp_path / "reviews" / part / "pos"
        folder.mkdir(parents=True)
        for n in range(120):
            text = f'A "fine" film<br /><br />of {part}ing - {n} times over, {"on " * 30}'
            rare = "\u00a4" if n < 40 else ""  # Characters need fifty occurrences.
            (folder / f"{n}_9.txt").write_text(text + rare, encoding="utf-8")
    found = []
    for name in ("a.txt", "b.txt"):
        write([tmp_path / "reviews"], tmp_path / name)
        found.append((tmp_path / name).read_text(encoding="utf-8"))
    assert found[0] == found[1]
    texts = found[0].split("\n\n\n")
    assert len(texts) == 120
    for there in ("\u201cfine\u201d film\n\nof training\u2014", '"fine" film\n\nof training - '):
        assert there in found[0]
    for missing in ("<br", "testing", "\u00a4"):
        assert missing not in found[0]
    assert {len(text.split("\n\n")[1].splitlines()) for text in texts} == {1, 2}
