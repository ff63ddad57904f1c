"""The exporter: a trained model to an ONNX file that was checked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import zoo
from zoo.errors import UsageError
from zoo.interfaces import Data, ExportedFile

if TYPE_CHECKING:
    from zoo_onnx.translation import Translation

KEY = "zoo"
"""The key of the metadata that has the header of the weights file, as JSON."""

MAX_BYTES = (1 << 31) - (1 << 27)
"""The most that weights may have: the rest of a file is for the nodes and the metadata."""


def export(model: zoo.TrainedModel, data: Data | None) -> ExportedFile:
    """Return a model as an ONNX file.

    Recurrent layers of zoo become ONNX's own operators, which take the lengths of rows; torch
    traces models and networks of other packages. ONNX Runtime then computes the probe of the
    weights file and a thousand examples, of the data or made up, and has to agree with torch.

    Args:
        model: The model.
        data: That of its training; None: it is not at hand.

    Raises:
        UsageError: The extra is not installed, or the network cannot be exported.
        WeightsError: The file would not compute what the network does.
    """
    try:
        from zoo_onnx.checking import check
        from zoo_onnx.networks import translate
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("onnx", "onnxruntime"):
            raise
        raise UsageError(
            "ONNX files need onnx and onnxruntime",
            why=str(error),
            fix="pip install 'seqzoo[onnx]'",
        ) from error
    tensors = model.module.state_dict().values()
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors) > MAX_BYTES:
        why = "a file of protobuf holds 2 GB"
        raise UsageError(f"{model.name!r} is too large for ONNX", why=why)
    model.module.eval()
    translation = translate(model)
    proto = translation.graph.proto(zoo.__version__)
    proto.doc_string = model.name
    for key, value in _metadata(model, translation).items():
        proto.metadata_props.add(key=key, value=value)
    content = proto.SerializeToString()
    note = check(content, translation, model.task.probe(), data)
    return ExportedFile(content, note)


def _metadata(model: zoo.TrainedModel, translation: Translation) -> dict[str, str]:
    """Return the metadata of the file: the header of the weights file, and what a state is.

    Options are those of this version, with all their names, as a reader has no defaults. The
    digest of the header is that of the weights file, and left out.
    """
    from zoo_onnx.graph import ML_OPSET, OPSET

    header = {key: value for key, value in model.info.items() if key != "digest"}
    run = {**header["run"], **model.spec.to_json()}
    described = {"opset": OPSET, "ml_opset": ML_OPSET, "state": dict(translation.state)}
    document = {**header, "run": run, "onnx": described}
    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    license_ = header.get("license")
    return {KEY: text} | ({"license": license_} if isinstance(license_, str) else {})
