"""Named-entity recognition: spans of words and their types, from files in CoNLL format."""

from __future__ import annotations

import zoo
from zoo_crf.options import NEROptions


@zoo.hookimpl
def zoo_tasks() -> list[zoo.TaskInfo]:
    return [
        zoo.TaskInfo(
            name="ner",
            summary="Names in sentences and their types, from CoNLL files, with a CRF",
            target="zoo_crf.task:NER",
            options=NEROptions,
            monitor="f1",
            higher_is_better=True,
            settings={
                "training.learning_rate": 5e-3,
                "training.clip_norm": 5.0,
            },
        )
    ]
