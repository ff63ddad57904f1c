"""What to train on reviews. No torch here."""

from __future__ import annotations

from pathlib import Path

from zoo import Suggestion
from zoo_sentiment.options import SentimentOptions
from zoo_sentiment.reviews import may_be_imdb
from zoo_text.suggest import FINE_TUNING, suggest_classification, training_settings

# The archive's training texts, less those of the validation split, and their words.
_IMDB_TEXTS, _IMDB_LENGTH = 22_500, 230


def suggest(path: Path | None, options: SentimentOptions) -> Suggestion | None:
    """Suggest for the IMDb archive, its folder or a table; None for other data."""
    if path is None:
        return None
    if may_be_imdb(path):
        notes = (f"data     {path.name}: reviews in the layout of the IMDb archive",)
        settings = training_settings(_IMDB_TEXTS, 2, _IMDB_LENGTH)
        return Suggestion("bilstm", settings, notes, init_settings=FINE_TUNING)
    return suggest_classification(path, options)
