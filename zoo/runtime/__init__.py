"""Inference without torch: networks of arrays, and the model that computes with them."""

from zoo.runtime.model import InferenceModel

__all__ = ["InferenceModel"]
