"""The two interfaces, Model and Task, and what passes between them and the engine.

A *model* is a recurrent architecture over vectors; it knows nothing of words, labels or losses.
A *task* is everything else: data, batches, the network around the model, loss, metrics and
predictions. The engine asks the task for batches, calls :meth:`Task.step` on each and adds up the
sums that it returns; it never looks into a batch or a network.

What a model, a network, a split or a task can do beyond its interface is a protocol of its own,
found by ``isinstance``.
"""

from zoo.interfaces.capabilities import (
    Calibrates,
    Embeds,
    FindsMistakes,
    FitsBaseline,
    Generates,
    KeepsRows,
    MakesMetrics,
    NamesRows,
    Predicts,
    ProbesTexts,
    RowNames,
    WeighsLoss,
    WrapsModel,
)
from zoo.interfaces.data import Batch, Data, ShufflesSteps, Split
from zoo.interfaces.explanations import Explains, Explanation, Explanations, Piece
from zoo.interfaces.exporting import ExportedFile
from zoo.interfaces.models import (
    BuildModel,
    DecodesSteps,
    DecodeStep,
    ForwardsEmbedded,
    HasInitialState,
    HasParameterGroups,
    HasPenalty,
    HasReadout,
    Model,
    State,
)
from zoo.interfaces.outcomes import Outcomes, ScoresExamples
from zoo.interfaces.predictions import (
    HasKnown,
    LabelPrediction,
    Mistake,
    Prediction,
    TagsPrediction,
    TextPrediction,
    ValuesPrediction,
)
from zoo.interfaces.runtime import (
    Array,
    ArrayDecodeStep,
    ArrayState,
    BuildRuntimeModel,
    CompilesTokenLoop,
    DrawsTokens,
    OutputLayer,
    QuantizedMatrix,
    RuntimeModel,
    RuntimeTask,
    Tensors,
    TokenLoop,
)
from zoo.interfaces.tasks import Evaluate, Metrics, MetricSums, Step, Task
from zoo.interfaces.trackers import RunStatus, Setting, Tracker
from zoo.interfaces.training import Callback, Metric

__all__ = [
    "Array",
    "ArrayDecodeStep",
    "ArrayState",
    "Batch",
    "BuildModel",
    "BuildRuntimeModel",
    "Calibrates",
    "Callback",
    "CompilesTokenLoop",
    "Data",
    "DecodeStep",
    "DecodesSteps",
    "DrawsTokens",
    "Embeds",
    "Evaluate",
    "Explains",
    "Explanation",
    "Explanations",
    "ExportedFile",
    "FindsMistakes",
    "FitsBaseline",
    "ForwardsEmbedded",
    "Generates",
    "HasKnown",
    "HasParameterGroups",
    "HasInitialState",
    "HasPenalty",
    "HasReadout",
    "KeepsRows",
    "LabelPrediction",
    "MakesMetrics",
    "Metric",
    "MetricSums",
    "Metrics",
    "Mistake",
    "Model",
    "NamesRows",
    "Outcomes",
    "OutputLayer",
    "Piece",
    "Prediction",
    "Predicts",
    "ProbesTexts",
    "QuantizedMatrix",
    "RowNames",
    "RunStatus",
    "RuntimeModel",
    "RuntimeTask",
    "ScoresExamples",
    "Setting",
    "ShufflesSteps",
    "Split",
    "State",
    "Step",
    "TagsPrediction",
    "Task",
    "Tensors",
    "TextPrediction",
    "TokenLoop",
    "Tracker",
    "ValuesPrediction",
    "WeighsLoss",
    "WrapsModel",
]
