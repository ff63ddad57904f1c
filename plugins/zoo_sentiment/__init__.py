"""Sentiment of reviews: text classification with the IMDb archive as its data."""

from __future__ import annotations

from pathlib import Path

import zoo
from zoo_sentiment.options import SentimentOptions
from zoo_text import SETTINGS


@zoo.hookimpl
def zoo_tasks() -> list[zoo.TaskInfo]:
    return [
        zoo.TaskInfo(
            name="sentiment",
            summary="Label of a review: IMDb, or any table of texts and labels",
            target="zoo_sentiment.task:Sentiment",
            runtime="zoo_text.runtime:TextClassification",
            options=SentimentOptions,
            monitor="accuracy",
            higher_is_better=True,
            settings=SETTINGS,
            suggest="zoo_sentiment.suggest:suggest",
            settings_from="zoo_text.initial:settings_from",
            for_any_data=False,
        )
    ]


@zoo.hookimpl
def zoo_recipes() -> list[Path]:
    return [Path(__file__).with_name("recipes.toml")]
