"""Texts and labels: classification with one or several labels, and regression."""

from __future__ import annotations

from typing import Any

import zoo
from zoo_text.options import ClassificationOptions, MultilabelOptions, RegressionOptions

# Settings of TASK/MODEL; a suggestion for the data has more.
SETTINGS: dict[str, Any] = {
    "training.optimizer": "adamw",
    "training.schedule": "one-cycle",
    "training.epochs": 5,
    "training.learning_rate": 3e-3,
    "training.clip_norm": 1.0,
    "training.selection": "last",
    "optimizer.beta2": 0.98,
    "scheduler.warmup": 0.15,
}


@zoo.hookimpl
def zoo_tasks() -> list[zoo.TaskInfo]:
    return [
        zoo.TaskInfo(
            name="text-classification",
            summary="One label for a text: any table of texts and labels",
            target="zoo_text.classification:TextClassification",
            runtime="zoo_text.runtime:TextClassification",
            options=ClassificationOptions,
            monitor="accuracy",
            higher_is_better=True,
            settings=SETTINGS,
            suggest="zoo_text.suggest:suggest_classification",
            settings_from="zoo_text.initial:settings_from",
        ),
        zoo.TaskInfo(
            name="text-multilabel",
            summary="Any number of labels for a text",
            target="zoo_text.multilabel:TextMultilabel",
            runtime="zoo_text.runtime:TextMultilabel",
            options=MultilabelOptions,
            monitor="f1_micro",
            higher_is_better=True,
            settings=SETTINGS,
            suggest="zoo_text.suggest:suggest_multilabel",
            settings_from="zoo_text.initial:settings_from",
        ),
        zoo.TaskInfo(
            name="text-regression",
            summary="A number for a text",
            target="zoo_text.regression:TextRegression",
            runtime="zoo_text.runtime:TextRegression",
            options=RegressionOptions,
            monitor="mae",
            higher_is_better=False,
            settings=SETTINGS,
            suggest="zoo_text.suggest:suggest_regression",
            settings_from="zoo_text.initial:settings_from",
        ),
    ]


@zoo.hookimpl
def zoo_metrics() -> list[zoo.MetricInfo]:
    return [
        zoo.MetricInfo(
            name="top5",
            summary="Share of texts whose label is among the five likeliest",
            target="zoo_text.top_k:Top5",
            tasks=("text-classification", "sentiment"),
        )
    ]
