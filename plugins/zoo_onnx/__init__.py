"""ONNX: networks as graphs for ONNX Runtime and other engines. Needs ``seqzoo[onnx]``."""

from __future__ import annotations

from zoo import ExporterInfo, hookimpl


@hookimpl
def zoo_exporters() -> list[ExporterInfo]:
    return [
        ExporterInfo(
            name="onnx",
            summary="ONNX graph, for ONNX Runtime and other engines",
            suffix=".onnx",
            target="zoo_onnx.exporting:export",
        )
    ]
