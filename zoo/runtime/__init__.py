"""Answers without torch: networks of arrays, and the model that predicts, generates and embeds."""

from zoo.runtime.model import InferenceModel

__all__ = ["InferenceModel"]
