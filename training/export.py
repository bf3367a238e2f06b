"""A finished training run to a model bundle: `python -m training.export --run DIR --output DIR --data DIR`.

    1. weights are rounded to half precision, so that every figure is computed from what is released;
    2. golden rows are computed with the Keras model;
    3. with --data, an int8 model is quantized from the rounded weights (`training.release.quantization`);
    4. every engine and precision is compared with them (`training.release.parity`): one that differs is not offered;
    5. the manifest, the model card and the files are written, and read back.

The same run gives the same bytes with the same library versions and, for int8, on the same machine: a bundle holds no
time, path or host.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from fashion_udf import cli
from fashion_udf.errors import BundleError, CatalogError
from fashion_udf.model import bundle, tokenizer
from fashion_udf.model.architecture import build_model
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines.tensorflow import load_weights
from fashion_udf.model.manifest import ImageFacts, Manifest, TextFacts, Thresholds, TrainingData
from fashion_udf.photos import decode

from .data import dataset
from .fitting import run_directory
from .release import goldens, model_card, openvino_ir, parity, quantization
from .release.weights import round_to_half

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

_LIBRARIES = ("keras", "nncf", "numpy", "openvino", "pillow", "pyarrow", "safetensors", "tensorflow", "tokenizers")


@dataclass(frozen=True)
class Facts:
    """What a release states beside its weights."""

    name: str
    tokenizer: bytes
    labels: tuple[str, ...]
    image_size: int
    temperature: Mapping[str, float]
    thresholds: Mapping[str, Mapping[str, float]]
    metrics: Mapping[str, Any]
    data: Mapping[str, Any]  # digest, and counts by split
    recipe: Mapping[str, Any]


def export(model: keras.Model, facts: Facts, output: Path, data: Path | None = None) -> str:
    """Write a bundle from a trained model; the model's weights are rounded in place.

    Args:
        model: as built by `fashion_udf.model.architecture.build_model`.
        facts: what the manifest and the model card say.
        output: a directory that does not exist yet.
        data: the training set of the run, to make int8 with, and to measure it and bf16; None: only f32 is offered.

    Returns:
        The model_version.

    Raises:
        BundleError: half precision cannot hold a weight, no engine passes parity, or the directory exists.
        CatalogError: `data` lacks a split, or is another training set than the run's.
    """
    files = {
        "tokenizer.json": facts.tokenizer,
        "weights.safetensors": round_to_half(model),
        **openvino_ir.convert(model),
    }
    manifest = _manifest(facts)
    files["golden.parquet"] = goldens.compute(model, manifest, facts.tokenizer)
    if data:
        files |= _quantized(files, facts, data)
    manifest = _with_parity(bundle.in_memory(manifest, files), data)
    files["MODEL_CARD.md"] = model_card.render(manifest).encode()
    return bundle.write(output, manifest, {name: files[name] for name in sorted(manifest.required_files())})


def read_run(directory: Path, name: str) -> tuple[keras.Model, Facts]:
    """Read what `training.train` left: the model with its weights, and the facts.

    Raises:
        BundleError: a file of the run is missing or malformed.
    """
    try:
        labels = tuple(_json(directory / "labels.json"))
        calibration = _json(directory / "calibration.json")
        recipe = yaml.safe_load((directory / "recipe.yaml").read_text(encoding="utf-8"))
        facts = Facts(
            name=name,
            tokenizer=(directory / "tokenizer.json").read_bytes(),
            labels=labels,
            image_size=recipe["stages"][-1]["image_size"],
            temperature=calibration["temperature"],
            thresholds=calibration["thresholds"],
            metrics=_json(directory / "metrics.json"),
            data=_json(directory / "data.json"),
            recipe=_without_paths(recipe),
        )
        weights = (directory / "weights.safetensors").read_bytes()
    except (OSError, ValueError, KeyError, TypeError, IndexError, yaml.YAMLError) as error:
        raise BundleError(
            f"Expected a finished run of training.train in {directory}. Received: {type(error).__name__}: {error}"
        ) from error
    model = build_model(len(labels), recipe["vocabulary_size"])
    load_weights(model, weights)
    return model, facts


def _manifest(facts: Facts) -> Manifest:
    return Manifest(
        name=facts.name,
        labels=list(facts.labels),
        image=ImageFacts(size=facts.image_size, preprocessing_version=decode.PREPROCESSING_VERSION),
        text=TextFacts(
            max_tokens=tokenizer.MAX_TOKENS,
            vocabulary_size=facts.recipe["vocabulary_size"],
        ),
        engines={},  # parity adds those that may be offered
        temperature=dict(facts.temperature),
        thresholds={name: Thresholds(**values) for name, values in facts.thresholds.items()},
        metrics=dict(facts.metrics),
        training_data=TrainingData(digest=facts.data["digest"], counts=dict(facts.data["counts"])),
        recipe=dict(facts.recipe),
        library_versions={library: version(library) for library in _LIBRARIES},
    )


def _quantized(files: Mapping[str, bytes], facts: Facts, data: Path) -> dict[str, bytes]:
    digest = run_directory.describe(data)["digest"]
    if digest != facts.data["digest"]:
        # The model may have been trained on rows that this training set has in its test split.
        raise CatalogError(
            f"Expected the training set of the run, whose split has the digest {facts.data['digest']}. "
            f"Received: {data} with {digest}"
        )
    preparation = dataset.Preparation(facts.tokenizer, facts.labels, facts.image_size)
    rows = quantization.calibration_rows(data / "train", preparation)
    logger.info("int8 is calibrated on %d rows of %s", len(rows), data / "train")
    return quantization.quantize(files, rows)


def _with_parity(candidate: Bundle, data: Path | None) -> Manifest:
    comparison = parity.compare(candidate, data)
    if not comparison.offered:
        raise BundleError(f"Expected an engine that agrees with the Keras model. Received: {comparison.parity}")
    return candidate.manifest.model_copy(
        update={
            "engines": comparison.offered,
            "parity": comparison.parity,
            "not_measured": comparison.not_measured,
        }
    )


def _without_paths(recipe: Mapping[str, Any]) -> dict[str, Any]:
    # A released bundle states how its model was trained, not on which machine.
    kept = {key: value for key, value in recipe.items() if key not in ("data", "output")}
    kept["backbone_weights"] = Path(kept.get("backbone_weights", "none")).name
    if reference := kept.get("initial_bundle"):
        kept["initial_bundle"] = reference.rpartition("@")[2]
    return kept


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def main() -> None:
    """Parse arguments and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, type=Path, help="the output directory of training.train")
    parser.add_argument("--output", required=True, type=Path, help="the bundle's directory; must not exist")
    parser.add_argument("--data", type=Path, help="the training set: makes int8, and measures it and bf16")
    parser.add_argument("--name", default="fashion", help="the model's name in the manifest")
    arguments = parser.parse_args()
    model, facts = read_run(arguments.run, arguments.name)
    model_version = export(model, facts, arguments.output, arguments.data)
    sys.stdout.write(f"{arguments.output}@{model_version}\n")


if __name__ == "__main__":
    cli.run(main)
