"""The training loop: epochs of steps, stage by stage, each followed by validation. A killed run continues."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..data.dataset import Preparation
from . import best, checkpoint, run_directory
from .checkpoint import Position
from .epochs import Epochs, Scalars, Trained
from .recipe import Recipe
from .strategy import any_worker, is_chief

logger = logging.getLogger(__name__)

#: Returns the accuracies of the averaged model by modality, on photos of one size.
Validate = Callable[[Preparation], Mapping[str, float]]


def fit(recipe: Recipe, trained: Trained, preparation: Preparation, validate: Validate) -> None:
    """Run the epochs after the last complete checkpoint in `recipe.output`.

    Then `trained.averaged` has the weights to release: those of the last epoch, or of the best one.

    Only the chief validates and writes. The other workers wait for the chief in their next step.

    Raises:
        ConfigError: a loss is not finite, or the checkpoint belongs to another recipe.
    """
    directory, chief = recipe.output / "checkpoints", is_chief(trained.strategy)
    position = checkpoint.restore(directory, trained.variables)
    logger.info("starting in epoch %d after %d steps of it", position.epoch + 1, position.step)
    if chief:
        run_directory.cut_history(recipe.output, position.epoch)
    stages = [stage for stage in recipe.stages for _ in range(stage.epochs)]
    with _scalars(recipe.output / "tensorboard" if chief else None) as scalars:
        epochs = Epochs(recipe, trained, scalars)
        for epoch, stage in list(enumerate(stages))[position.epoch :]:
            if recipe.patience and any_worker(trained.strategy, chief and _stalled(recipe.output, recipe.patience)):
                break
            sized = replace(preparation, image_size=stage.image_size)
            position, line = epochs.run(sized, stage, position)
            if chief:
                validation = dict(validate(sized))
                if recipe.keep == "best":
                    best.offer(recipe.output, epoch, validation, trained.averaged)
                run_directory.append_history(recipe.output, {**line, "validation": validation})
                logger.info("%s", json.dumps({**line, "validation": validation}))
                scalars({f"validation/{name}": value for name, value in validation.items()}, position.total_steps)
            position = Position(total_steps=position.total_steps, epoch=epoch + 1)
            if chief:
                checkpoint.save(directory, position, trained.variables)
    if chief and recipe.keep == "best":
        best.load(recipe.output, trained.averaged)


def _stalled(directory: Path, patience: int) -> bool:
    since = best.epochs_since(run_directory.read_history(directory))
    if since >= patience:
        logger.info("the run ends early; epochs since the best one: %d", since)
    return since >= patience


@contextlib.contextmanager
def _scalars(directory: Path | None) -> Iterator[Scalars]:
    """Yield a function that writes named values by step for TensorBoard; it does nothing if `directory` is None."""
    if directory is None:
        yield lambda values, step: None
        return
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(directory))

    def write(values: Mapping[str, float], step: int) -> None:
        with writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    try:
        yield write
    finally:
        writer.close()
