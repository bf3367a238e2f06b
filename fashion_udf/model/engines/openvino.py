"""The OpenVINO engine: the bundle's IR, compiled for the CPU. The default for scoring."""

from __future__ import annotations

import platform
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fashion_udf.errors import EngineError
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines.prediction import Predict, Prediction, from_outputs
from fashion_udf.model.manifest import OPENVINO_IR


def load_openvino() -> Any:
    """Import openvino with its telemetry switched off.

    `import openvino` starts a thread that reports the import over the network and writes files to `~/intel`, unless
    `openvino_telemetry` is missing (openvino 2026.4.1). The documented command `opt_in_out --opt_out` would write a
    file to the home directory of each host, and there is no setting for a library. So the package is made to look
    missing.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # the documented way to block an import
    import openvino

    return openvino


def has_bf16() -> bool:
    """Return whether this CPU has bf16 instructions."""
    return "BF16" in load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def build(bundle: Bundle, precision: str, threads: int) -> Predict:
    """Compile the bundle's IR for a precision from memory.

    Args:
        bundle: a verified bundle with the IR of `precision`.
        precision: `f32`, `bf16`, or `int8`. Layers of the int8 IR that are not quantized run as f32.
        threads: CPU threads of one prediction.

    Raises:
        EngineError: the precision is bf16 and the CPU has no bf16 instructions.
    """
    openvino = load_openvino()
    _require_cpu(precision)
    core = openvino.Core()
    graph = OPENVINO_IR[precision]
    model = core.read_model(bundle.files[f"{graph}.xml"], bundle.files[f"{graph}.bin"])
    compiled = core.compile_model(
        model,
        "CPU",
        {
            # The precision of float layers. Without the hint, CPUs with bf16 would use bf16.
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "EXECUTION_MODE_HINT": "ACCURACY",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": threads,
            # With pinning, all Python workers of a host would use the same first cores.
            "ENABLE_CPU_PINNING": False,
        },
    )
    values = bundle.manifest.attribute_values

    def predict(
        pixels: NDArray[np.uint8], image_present: NDArray[np.float32], token_ids: NDArray[np.int32]
    ) -> Prediction:
        outputs = compiled({"image": pixels, "image_present": image_present, "token_ids": token_ids})
        return from_outputs(outputs.__getitem__, values)

    return predict


def _require_cpu(precision: str) -> None:
    if precision == "bf16" and not has_bf16():
        # OpenVINO would silently compute in f32, and one table would hold rows of two precisions.
        raise EngineError(
            f"Expected a CPU with bf16 for engine.precision bf16. Received: host {platform.node()} without it. "
            "Keep this host out of the job, or choose another precision"
        )
