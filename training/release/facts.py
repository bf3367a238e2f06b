"""The facts of a release apart from its weights, from the directory of a finished run of `training.train`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from fashion_udf.errors import BundleError
from fashion_udf.model import taxonomy
from fashion_udf.model.architecture import build_model
from fashion_udf.model.engines.tensorflow import load_weights
from fashion_udf.model.manifest import REFERENCE, Calibration

from ..evaluation.limits import Limits
from . import notice

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Facts:
    """The facts of a release apart from its weights."""

    name: str
    tokenizer: bytes
    labels: tuple[str, ...]
    image_size: int
    attributes: Mapping[str, Sequence[str]]  # name -> values
    families: Mapping[str, Sequence[str]]  # parent -> categories, as in taxonomy.yaml
    calibration: Mapping[
        str, Mapping[str, Calibration]
    ]  # precision -> modality, for precisions that the export does not calibrate
    notice: str
    metrics: Mapping[str, Any]
    data: Mapping[str, Any]  # digest, and counts by split
    recipe: Mapping[str, Any]
    target_precision: float = 0.99
    limits: Limits = Limits()


def read_run(directory: Path, name: str, stated: str = "") -> tuple[keras.Model, Facts]:
    """Read a finished run: the model with its weights, and the facts.

    Args:
        directory: the run directory.
        name: name of the model.
        stated: origin and licence of the data, for NOTICE.

    Raises:
        BundleError: a file of the run is missing or malformed.
    """
    try:
        labels = tuple(_json(directory / "labels.json"))
        recipe = yaml.safe_load((directory / "recipe.yaml").read_text(encoding="utf-8"))
        told = _without_paths(recipe)
        facts = Facts(
            name=name,
            tokenizer=(directory / "tokenizer.json").read_bytes(),
            labels=labels,
            image_size=recipe["stages"][-1]["image_size"],
            attributes={entry["name"]: tuple(entry["values"]) for entry in _json(directory / "attributes.json")},
            families=taxonomy.read_families((directory / "taxonomy.yaml").read_bytes(), "taxonomy.yaml"),
            calibration={REFERENCE: _calibration(directory / "calibration.json")},
            notice=notice.render(told, stated),
            metrics={REFERENCE: _json(directory / "metrics.json")},
            data=_json(directory / "data.json"),
            recipe=told,
            target_precision=recipe.get("target_precision", 0.99),
            limits=Limits.model_validate(recipe.get("release") or {}),
        )
        weights = (directory / "weights.safetensors").read_bytes()
    except (OSError, ValueError, KeyError, TypeError, IndexError, yaml.YAMLError) as error:
        raise BundleError(
            f"Expected a finished run of training.train in {directory}. Received: {type(error).__name__}: {error}"
        ) from error
    model = build_model(len(labels), recipe["vocabulary_size"], sum(map(len, facts.attributes.values())))
    load_weights(model, weights)
    return model, facts


def _calibration(path: Path) -> dict[str, Calibration]:
    return {modality: Calibration.model_validate(fitted) for modality, fitted in _json(path).items()}


def _without_paths(recipe: Mapping[str, Any]) -> dict[str, Any]:
    # A released bundle tells how its model was trained, not on which machine.
    kept = {key: value for key, value in recipe.items() if key not in ("data", "output", "taxonomy")}
    kept["backbone_weights"] = Path(kept.get("backbone_weights", "none")).name
    if reference := kept.get("initial_bundle"):
        kept["initial_bundle"] = reference.rpartition("@")[2]
    return kept


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
