"""The small model with an int8 graph that is really quantized, and golden rows that suit f32 and int8."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from pathlib import Path

from fashion_udf.model import bundle
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import golden, registry
from fashion_udf.model.manifest import Parity
from tests import tiny_model, training_set
from training.evaluation import evaluated_model
from training.release import goldens, quantization


@functools.cache
def offered() -> Bundle:
    """Quantize on first use, in about half a minute, and return a bundle that offers f32 and int8."""
    plain = bundle.read(str(tiny_model.directory()))
    with tempfile.TemporaryDirectory() as folder:
        train = training_set.write(Path(folder)) / "train"
        rows = quantization.calibration_rows(train, evaluated_model.preparation(plain))
    made = dataclasses.replace(plain, files={**plain.files, **quantization.quantize(plain.files, rows)})
    engines = {f"openvino {name}": registry.build("openvino", made, name, 1) for name in ("f32", "int8")}
    content = goldens.compute(tiny_model.model(), plain.manifest, plain.files["tokenizer.json"], engines)
    made = dataclasses.replace(made, files={**made.files, "golden.parquet": content})
    outcome = golden.differences(engines["openvino int8"], made)
    facts = Parity(
        rows=len(outcome.largest),
        same_top1=int(outcome.same_top1.sum()),
        largest_difference=float(outcome.largest.max()),
    )
    manifest = plain.manifest.model_copy(
        update={
            "engines": {"openvino": ["f32", "int8"]},
            "parity": {**plain.manifest.parity, "openvino int8": facts},
        }
    )
    return dataclasses.replace(made, manifest=manifest)
