"""A trained model: what it is used for, and what it reaches."""

from zoo.trained.model import TrainedModel

__all__ = ["TrainedModel"]
