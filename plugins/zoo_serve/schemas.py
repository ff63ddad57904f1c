"""Bodies of requests and responses: what is validated, and what ``/openapi.json`` documents."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from zoo.values import LARGEST_SEED


class _Request(BaseModel):
    """A body in which nothing is guessed: keys and types are those that are documented."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    model: str = Field("", description="Name of the model; needed where several are served.")


class TextsRequest(_Request):
    """A text, or several."""

    text: str | None = Field(None, description="One text.")
    texts: list[str] | None = Field(None, description="Several texts, instead of one.")

    def given(self) -> list[str]:
        """Return the texts.

        Raises:
            ValueError: None are given, or both ``text`` and ``texts``.
        """
        if (self.text is None) == (self.texts is None):
            raise ValueError("give either text or texts")
        return [self.text] if self.text is not None else self.texts or []


class PredictRequest(TextsRequest):
    """Texts to predict."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"texts": ["A film to remember.", "Far too long."]}]}
    )


class EmbedRequest(TextsRequest):
    """Texts to turn into vectors."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "A film to remember."}]})


class ExplainRequest(TextsRequest):
    """Texts whose answers are explained."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "A film to remember."}]})

    target: str = Field(
        "", description="The label whose score is explained; empty: the one that is predicted."
    )


class GenerateRequest(_Request):
    """How a text goes on."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"prompt": "The island", "length": 200, "stream": True}]}
    )

    prompt: str = Field("", description="Text to continue.")
    length: int = Field(200, ge=0, description="Tokens to generate.")
    temperature: float = Field(
        1.0, ge=0, description="Above 1: more random, below 1: less; 0: the likeliest token."
    )
    top_k: int = Field(0, ge=0, lt=1 << 31, description="Draw among the k likeliest; 0: all.")
    top_p: float = Field(
        1.0, gt=0, le=1,
        description="Draw among the likeliest tokens that together have probability p "
        "(nucleus sampling).",
    )  # fmt: skip
    seed: int | None = Field(
        None, ge=0, le=LARGEST_SEED, description="For the same text each time."
    )
    stream: bool = Field(False, description="Whether to send the text as it is drawn, in events.")


class PredictResponse(BaseModel):
    """A prediction for each text, in order; what one has depends on the task."""

    model: str = Field(description="The model that answered.")
    predictions: list[dict[str, Any]] = Field(
        description="As of `zoo predict --json`, without the text.",
        examples=[
            [
                {
                    "label": "pos",
                    "probability": 0.98,
                    "scores": {"neg": 0.02, "pos": 0.98},
                    "known": 1,
                }
            ]
        ],
    )


class EmbedResponse(BaseModel):
    """A vector for each text, in order."""

    model: str = Field(description="The model that answered.")
    vectors: list[list[float]] = Field(description="A list of numbers for each text.")


class ExplainedPiece(BaseModel):
    """A piece of a text, from the character ``start`` to ``end``, and what it adds."""

    start: int
    end: int
    value: float


class ExplainedText(BaseModel):
    """A score as a sum: ``base`` and the values of the pieces."""

    target: str
    score: float
    base: float
    unit: str
    pieces: list[ExplainedPiece]
    method: str


class ExplainResponse(BaseModel):
    """An explanation for each text, in order."""

    model: str = Field(description="The model that answered.")
    explanations: list[ExplainedText] = Field(
        description="target, score, base, unit, method, and pieces with start, end and value."
    )


class GenerateResponse(BaseModel):
    """What follows the prompt."""

    model: str = Field(description="The model that answered.")
    text: str = Field(description="Without the prompt.")
    tokens: int = Field(description="How many were drawn.")
    reason: str = Field(description="Why it ends: length, timeout or shutdown.")


class ModelCard(BaseModel):
    """What a model is."""

    name: str = Field(description="Under which name it is served.")
    recipe: str = Field(description="The recipe or TASK/MODEL that was trained.")
    task: str = Field(description="The task.")
    architecture: str = Field(description="The model of the network.")
    capabilities: list[str] = Field(description="predict, generate, embed, explain.")
    labels: list[str] = Field(description="Its labels; none where it answers otherwise.")
    metrics: dict[str, dict[str, Any]] = Field(
        description="What was measured with these weights, by split, with 95 % intervals."
    )
    data: str = Field(description="What it was trained on.")
    parameters: int = Field(description="How many numbers it learned.")
    bytes: int = Field(description="Size of the weights file.")
    digest: str = Field(description="Digest of the weights file.")


class ServedLimits(BaseModel):
    """What may be asked for at once."""

    body: int
    texts: int
    explained: int
    characters: int
    tokens: int


class ModelsResponse(BaseModel):
    """The models, in the order in which they were named, and the limits of requests."""

    models: list[ModelCard] = Field(description="A card for each.")
    limits: ServedLimits = Field(description="What a request may have.")


class Health(BaseModel):
    """Whether the server takes requests: ``ok`` or ``draining``."""

    status: str = Field(description="ok or draining.")


class ErrorDetail(BaseModel):
    """What is wrong with one value of a request."""

    where: str
    message: str


class ErrorBody(BaseModel):
    """What happened, for programs and for people."""

    code: str
    message: str
    details: list[ErrorDetail] = []


class ErrorResponse(BaseModel):
    """Every error has this form."""

    error: ErrorBody
