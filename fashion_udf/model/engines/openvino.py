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

    `import openvino` starts a thread that reports the import over the network, and writes two files to `~/intel`,
    unless `openvino_telemetry` is missing (seen with strace, openvino 2026.4.1). The documented refusal, the command
    `opt_in_out --opt_out`, writes a file to the home directory of each host; a library has no setting, so the package
    is made to look missing.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # the documented way to block an import
    import openvino

    return openvino


def has_bf16() -> bool:
    """Return whether this CPU computes in bf16."""
    return "BF16" in load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def build(bundle: Bundle, precision: str, threads: int) -> Predict:
    """Compile the bundle's IR for a precision from memory.

    Args:
        bundle: a verified bundle with the IR of `precision`.
        precision: `f32`, `bf16`, or `int8`; what is not quantized in the int8 IR runs as f32.
        threads: CPU threads of one prediction.

    Raises:
        EngineError: bf16 is asked of a CPU without it.
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
            # Of what is float; without it, CPUs with bf16 would use that.
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "EXECUTION_MODE_HINT": "ACCURACY",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": threads,
            # Every Python worker of a host would pin itself to the same first cores.
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
        # OpenVINO would compute in f32 there without a word, and one table would hold rows of two precisions.
        raise EngineError(
            f"Expected a CPU with bf16 for engine.precision bf16. Received: host {platform.node()} without it. "
            "Keep this host out of the job, or choose another precision"
        )
