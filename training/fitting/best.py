"""The best epoch of a run: its averaged weights, and the number of epochs since.

The score of an epoch is the mean of its validation accuracies with both inputs and with each one alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fashion_udf.files import replace_file

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

_MODALITIES = ("both", "image", "text")
FILE = "best.safetensors"  # its metadata names the epoch and the score


def score(validation: Mapping[str, float]) -> float:
    """Return the score of an epoch. Other validation figures do not count."""
    return float(np.mean([validation[name] for name in _MODALITIES if name in validation]))


def epochs_since(history: Sequence[Mapping[str, Any]]) -> int:
    """Return the number of epochs after the best one (the first of equal ones), from the lines of `history.jsonl`."""
    scores = [score(line["validation"]) for line in history]
    return len(scores) - 1 - int(np.argmax(scores)) if scores else 0


def offer(directory: Path, epoch: int, validation: Mapping[str, float], model: keras.Model) -> None:
    """Save the weights of an epoch if its score is better than the saved one."""
    from safetensors.numpy import save

    reached = score(validation)
    if reached > _kept(directory):
        weights = {f"{position:04d}": np.asarray(weight) for position, weight in enumerate(model.weights)}
        replace_file(directory / FILE, save(weights, {"epoch": str(epoch), "score": repr(reached)}))


def load(directory: Path, model: keras.Model) -> None:
    """Assign the weights of the best epoch."""
    from safetensors import safe_open

    with safe_open(directory / FILE, "numpy") as file:
        for position, weight in enumerate(model.weights):
            weight.assign(file.get_tensor(f"{position:04d}"))
        metadata = file.metadata()
    logger.info("kept: epoch %d, of validation %.4f", int(metadata["epoch"]) + 1, float(metadata["score"]))


def _kept(directory: Path) -> float:
    from safetensors import safe_open

    if not (directory / FILE).exists():
        return -1.0
    with safe_open(directory / FILE, "numpy") as file:
        return float(file.metadata()["score"])
