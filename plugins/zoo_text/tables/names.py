"""Names that columns of texts, labels and parts have, in several languages."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

# In each tuple, earlier groups of names are preferred to later ones.
TEXT = (
    "text texts texto texte testo tekst текст 文本 テキスト 텍스트 نص metin văn_bản teks",
    "sentence review comment message content body document doc tweet utterance post question "
    "query description reviewtext text_clean clean_text tweet_text comment_text review_body "
    "sms email frase phrase_text satz oración commentaire comentario kommentar comentário "
    "commento yorum отзыв комментарий сообщение предложение вопрос avis reseña mensaje "
    "message_text nachricht frage bewertungstext recensione komentarz opinia pregunta 内容 "
    "评论 评价 正文 句子 問題 レビュー 本文 文章 内容文 コメント 리뷰 문장 댓글 تعليق مراجعة "
    "câu input inputs article abstract narrative complaint feedback response request "
    "transcript statement",
    "title headline subject summary titel titre título titolo 标题 タイトル 제목 заголовок "
    "name names word words token line phrase term nom nombre wort mot palabra слово имя 姓名 "
    "名前 이름",
)
LABEL = (
    "label labels label_text label_name étiquette etiqueta etichetta etikett 标签 ラベル 라벨 "
    "레이블 метка etiket nhãn تصنيف",
    "class classes category categories sentiment target intent topic tag tags emotion "
    "polarity y output outcome classe klasse clase kategorie categoría catégorie categoria "
    "kategori kategoria sentimento sentimiento stimmung gefühl duygu тональность категория "
    "класс эмоция 类别 分类 情感 感情 カテゴリ カテゴリー 分類 감정 카테고리 분류 emotions "
    "intents topics genre language lang",
    "rating ratings stars star score scores grade note bewertung puntuación calificación "
    "оценка рейтинг 评分 星级 評価 評点 평점 별점 ocena puan voto overall spam toxic toxicity "
    "gold annotation verdict",
)
PART = ("split part partition subset set fold dataset_split",)
_ID = re.compile(r"(.*[_ .-])?(id|ids|idx|index|uuid|guid|key|no|nr|num|number|hash)|unnamed.*")
# After the name of a class.
_SUFFIXES = frozenset({"id", "index", "idx", "name", "code", "no", "number", "num", "encoded"})
_DATE = re.compile(
    r"(.*[_ .-])?(date|time|datetime|timestamp|year|month|day|created|updated)(_at)?"
)


def normal(name: str) -> str:
    """Return a name in one form: no case, words joined by ``_``, ``reviewText`` as two words."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", unicodedata.normalize("NFKC", name).strip())
    return re.sub(r"[\s.\-_]+", "_", name.casefold()).strip("_")


@cache
def _ranks(groups: tuple[str, ...]) -> dict[str, int]:
    return {
        normal(name): rank for rank, group in reversed(list(enumerate(groups)))
        for name in group.split()
    }  # fmt: skip


def rank(name: str, groups: tuple[str, ...]) -> int | None:
    """Return the group that a name is in; None: it is in none.

    A plural is as good as a singular. ``airline_sentiment`` and ``class_index`` are a group
    behind ``sentiment`` and ``class``.
    """
    ranks, plain = _ranks(groups), normal(name)
    words = plain.split("_")
    if len(words) > 1 and words[-1] in _SUFFIXES:
        words.pop()
    for shift, part in ((0, plain), (1, "_".join(words)), (1, words[-1])):
        found = ranks.get(part, ranks.get(part.removesuffix("s")))
        if found is not None:
            return found + shift
    return None


def is_known(name: str) -> bool:
    """Return whether a name is usual for a column of texts, labels, parts, numbers or dates."""
    return (
        any(rank(name, groups) is not None for groups in (TEXT, LABEL, PART))
        or is_id(name)
        or is_date(name)
    )


def is_id(name: str) -> bool:
    """Return whether a name is usual for a column that numbers rows or refers to others."""
    plain = normal(name)
    if plain.startswith("index_level_"):
        return True
    return _ID.fullmatch(plain) is not None and rank(name, LABEL) is None


def is_date(name: str) -> bool:
    """Return whether a name is usual for a column of dates."""
    return _DATE.fullmatch(normal(name)) is not None
