"""Sentiment of reviews: a label for a text, many-to-one."""

from __future__ import annotations

from pathlib import Path

import zoo
from zoo_sentiment.options import SentimentOptions


@zoo.hookimpl
def zoo_tasks() -> list[zoo.TaskInfo]:
    return [
        zoo.TaskInfo(
            name="sentiment",
            summary="Label of a review: IMDb, or any table of texts and labels",
            target="zoo_sentiment.task:Sentiment",
            options=SentimentOptions,
            monitor="accuracy",
            higher_is_better=True,
        )
    ]


@zoo.hookimpl
def zoo_metrics() -> list[zoo.MetricInfo]:
    return [
        zoo.MetricInfo(
            name="matthews",
            summary="Matthews correlation coefficient of labels: 1 perfect, 0 like guessing",
            target="zoo_sentiment.metrics:Matthews",
            tasks=("sentiment",),
        )
    ]


@zoo.hookimpl
def zoo_recipes() -> list[Path]:
    return [Path(__file__).with_name("recipes.toml")]
