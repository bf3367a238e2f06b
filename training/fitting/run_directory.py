"""The directory of one training run, written by `training.train` and read by `training.export`.

recipe.yaml, data.json  recipe and data of the run
checkpoints/          to continue after an interruption
history.jsonl         one line per epoch
best.safetensors      weights of the best epoch, if the recipe keeps the best one
tensorboard/          loss, accuracy and rate by step
weights.safetensors   half precision, by name
tokenizer.json, labels.json, attributes.json, taxonomy.yaml, calibration.json, metrics.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from fashion_udf.errors import ConfigError
from fashion_udf.files import make_directory, replace_file
from fashion_udf.model.manifest import Calibration

from ..data import dataset, split
from .recipe import Recipe

#: Keys that may change when a run continues: where its files are, and how often it is saved.
_FREE = ("data", "output", "checkpoint_minutes", "photo_cache_gb")


def start(recipe: Recipe) -> None:
    """Write the recipe and the data of a run, or check that an interrupted run continues with the same ones.

    Raises:
        ConfigError: the directory has a run with another recipe or other data.
    """
    make_directory(recipe.output)
    fixed = {key: value for key, value in recipe.model_dump(mode="json").items() if key not in _FREE}
    for name, value in [("recipe.yaml", fixed), ("data.json", describe(recipe.data))]:
        path = recipe.output / name
        if not path.exists():
            text = yaml.safe_dump(value) if path.suffix == ".yaml" else json.dumps(value, indent=2) + "\n"
            replace_file(path, text.encode())
        earlier = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML
        if other := sorted(key for key in {*earlier, *value} if earlier.get(key) != value.get(key)):
            raise ConfigError(
                f"Expected the run in {recipe.output} to continue with its first settings ({name}). "
                f"Received: another {', '.join(other)}. Choose another output for another run"
            )


def cut_history(directory: Path, epochs: int) -> None:
    """Keep the first `epochs` lines of `history.jsonl`.

    A run that is killed between an epoch's line and its checkpoint repeats the epoch, and writes the line again.
    """
    path = directory / "history.jsonl"
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        replace_file(path, "".join(lines[:epochs]).encode())


def read_history(directory: Path) -> list[dict[str, Any]]:
    """Return the epochs of `history.jsonl`."""
    path = directory / "history.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def append_history(directory: Path, line: Mapping[str, Any]) -> None:
    """Add one epoch to `history.jsonl`."""
    with (directory / "history.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def write(
    directory: Path,
    weights: bytes,
    preparation: dataset.Preparation,
    families: bytes,
    calibration: Mapping[str, Calibration],
    metrics: Mapping[str, Any],
) -> None:
    """Write the files for the export. The weights are last: their file marks a finished run.

    Args:
        directory: the run directory.
        weights: the weights in half precision.
        preparation: tokenizer, categories and attributes.
        families: the content of `taxonomy.yaml`.
        calibration: the calibration by modality.
        metrics: figures of the test split.
    """
    replace_file(directory / "tokenizer.json", preparation.tokenizer)
    replace_file(directory / "taxonomy.yaml", families)
    for name, value in [
        ("labels.json", list(preparation.labels)),
        ("attributes.json", [asdict(attribute) for attribute in preparation.attributes]),
        ("calibration.json", {name: fitted.model_dump() for name, fitted in calibration.items()}),
        ("metrics.json", metrics),
    ]:
        replace_file(directory / name, json.dumps(value, indent=2, sort_keys=True).encode() + b"\n")
    replace_file(directory / "weights.safetensors", weights)


def describe(data: Path) -> dict[str, Any]:
    """Return the digest of a training set's split assignment and its row counts."""
    ids, splits, counts = [], [], {}
    for name in split.SPLITS:
        files = dataset.require_plain_parquet(data / name)
        names = pq.read_table(files, columns=["product_id"])["product_id"].to_pylist()
        ids += names
        splits += [name] * len(names)
        counts[name] = len(names)
    return {"digest": split.digest(ids, splits), "counts": counts}
