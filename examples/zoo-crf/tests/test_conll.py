"""Files in CoNLL format, and words of texts."""

from __future__ import annotations

import pytest
from zoo_crf.conll import Sentence, parse
from zoo_crf.words import NUM_FEATURES, hash_features, shape, split_words

from zoo.errors import DataError

CONLL_2003 = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
# SYM I-NP O
rejects VBZ B-VP O

-DOCSTART- -X- -X- O

Peter\tNNP\tB-NP\tB-PER
Blackburn\tNNP\tI-NP\tI-PER
"""


def test_columns_documents_and_blanks() -> None:
    assert list(parse(CONLL_2003, "f")) == [
        Sentence(("EU", "#", "rejects"), ("B-ORG", "O", "O")),
        Sentence(("Peter", "Blackburn"), ("B-PER", "I-PER")),
    ]


def test_comments_stand_before_a_sentence_and_end_with_no_tag() -> None:
    text = "# id 7 domain=en\n#1 O\nNo\u00a05 _ _ U-LOC\n  \n# sent_id = 2\n#tag B-X\nx L-X\n"
    assert list(parse(text, "f")) == [
        Sentence(("#1", "No\u00a05"), ("O", "S-LOC")),
        Sentence(("#tag", "x"), ("B-X", "E-X")),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("EU B-ORG\n\nrejects\n", "'rejects' has no tag in line 3 of f"),
        ("EU B-ORG\nrejects VBZ\n", "'VBZ' is no tag in line 2 of f"),
        ("EU B-ORG\n#x B_ORG\n", "'B_ORG' is no tag in line 2 of f"),
        ("EU B-\n", "'B-' is no tag in line 1 of f"),
    ],
)
def test_what_has_no_tag_is_named(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(parse(text, "f"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Anna Schmidt, of New York.", "Anna|Schmidt|,|of|New|York|."),
        ("  (O'Neill) said: \u201cno\u201d...", "(|O'Neill|)|said|:|\u201c|no|\u201d|.|.|."),
        ("the U.S. lost 3-1 ", "the|U.S.|lost|3-1"),
        (
            "\u0926\u093f\u0932\u094d\u0932\u0940 e\u0301te\u0301",
            "\u0926\u093f\u0932\u094d\u0932\u0940|e\u0301te\u0301",
        ),
        ("?!", "?|!"),
        (" ", ""),
    ],
)
def test_words_of_a_text(text: str, words: str) -> None:
    assert "|".join(text[start:end] for start, end in split_words(text)) == words


def test_words_that_are_written_alike_share_features() -> None:
    assert [shape(word) for word in ("Anna", "U.S.", "3-1", "iPhone14")] == [
        "Xx", "X.X.", "d-d", "xXxd",
    ]  # fmt: skip
    one, other = (hash_features(word, 1 << 20) for word in ("Anderson", "Wilson"))
    shared = [a == b for a, b in zip(one, other, strict=True)]
    #                  shape  prefixes of 1 to 3     suffixes of 1 to 4
    assert shared == [True, False, False, False, True, True, True, False]
    assert len(one) == NUM_FEATURES
    assert all(0 <= number < 7 for number in hash_features("Anderson", 7))
