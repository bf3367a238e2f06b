"""The training loop: epochs of steps, stage by stage, each followed by validation. A killed run continues."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashion_udf.errors import ConfigError
from fashion_udf.progress import progress

from ..data import dataset, shop_text
from ..data.dataset import Preparation
from ..data.training_batches import Shard, training_batches
from . import averaging, checkpoint, run_directory
from .augmentation import augment
from .checkpoint import Position
from .losses import BatchLoss
from .recipe import Recipe, Stage
from .step import train_step
from .strategy import distribute, is_chief

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

logger = logging.getLogger(__name__)

#: Returns the accuracy by modality of the averaged model, on photos of one size.
Validate = Callable[[Preparation], Mapping[str, float]]
_Scalars = Callable[[Mapping[str, float], int], None]


@dataclass(frozen=True)
class Trained:
    """The models and the optimizer of a run, and the devices they are on."""

    strategy: tf.distribute.Strategy
    model: keras.Model
    averaged: keras.Model  # unfused, holds the running average of the weights; it is validated and released
    optimizer: keras.optimizers.Optimizer
    loss_of: BatchLoss
    word_head: keras.layers.Layer | None  # None where its weight in the recipe is 0

    @property
    def variables(self) -> list[keras.Variable]:
        """All state of a run: weights, running means, seeds of dropout, the optimizer's moments."""
        words = self.word_head.variables if self.word_head else []
        return [*self.model.variables, *self.averaged.weights, *words, *self.optimizer.variables]


def fit(recipe: Recipe, trained: Trained, preparation: Preparation, validate: Validate) -> None:
    """Run the epochs that follow the last complete checkpoint in `recipe.output`.

    Only the chief validates and writes; the other workers wait for the chief in their next step.

    Raises:
        ConfigError: a loss is not finite, or the checkpoint is of another recipe.
    """
    directory, chief = recipe.output / "checkpoints", is_chief(trained.strategy)
    position = checkpoint.restore(directory, trained.variables)
    logger.info("starting in epoch %d after %d steps of it", position.epoch + 1, position.step)
    if chief:
        run_directory.cut_history(recipe.output, position.epoch)
    step = train_step(trained.strategy, trained.model, trained.optimizer, recipe, trained.loss_of, trained.word_head)
    stages = [stage for stage in recipe.stages for _ in range(stage.epochs)]
    with _scalars(recipe.output / "tensorboard" if chief else None) as scalars:
        for epoch, stage in list(enumerate(stages))[position.epoch :]:
            sized = replace(preparation, image_size=stage.image_size)
            position, line = _epoch(recipe, trained, sized, stage, step, position, scalars)
            if chief:
                validation = dict(validate(sized))
                run_directory.append_history(recipe.output, {**line, "validation": validation})
                logger.info("%s", json.dumps({**line, "validation": validation}))
                scalars({f"validation/{name}": value for name, value in validation.items()}, position.total_steps)
            position = Position(total_steps=position.total_steps, epoch=epoch + 1)
            if chief:
                checkpoint.save(directory, position, trained.variables)


def _epoch(
    recipe: Recipe,
    trained: Trained,
    preparation: Preparation,
    stage: Stage,
    step: Any,
    position: Position,
    scalars: _Scalars,
) -> tuple[Position, dict[str, float]]:
    """Run the rest of an epoch of `stage`, with a checkpoint now and then; return its last position and its figures."""
    steps = stage.steps(dataset.count(recipe.data / "train"), recipe.batch_size)
    batches = iter(_batches(recipe, trained.strategy, preparation, stage.crop, position))
    first, waited, started = position.step, 0.0, time.monotonic()
    saved = started
    with progress((steps - first) * recipe.batch_size, label=f"epoch {position.epoch + 1}: trained") as shown:
        while position.step < steps:
            asked = time.monotonic()
            batch = next(batches)
            waited += time.monotonic() - asked
            loss, hits = (float(value) for value in step(*batch))
            if not math.isfinite(loss):
                raise ConfigError(f"Expected a finite loss. Received: {loss} after {position}. Lower learning_rate")
            position = position.after(loss, hits)
            if position.total_steps % averaging.EVERY == 0 or position.step == steps:
                averaging.update(trained.averaged, trained.model, recipe.average_decay, position.total_steps)
            detail = "loss {loss:.3f}, accuracy {accuracy:.3f}".format(**position.figures(recipe.batch_size))
            shown.update((position.step - first) * recipe.batch_size, detail)
            values = {"train/loss": loss, "train/hits": hits / recipe.batch_size}
            scalars({**values, "train/rate": float(trained.optimizer.learning_rate)}, position.total_steps)
            if is_chief(trained.strategy) and time.monotonic() - saved >= 60 * recipe.checkpoint_minutes:
                checkpoint.save(recipe.output / "checkpoints", position, trained.variables)
                saved = time.monotonic()
    seconds = max(time.monotonic() - started, 1e-9)
    return position, {
        "epoch": position.epoch,
        "image_size": preparation.image_size,
        **position.figures(recipe.batch_size),
        "photos_per_second": (position.step - first) * recipe.batch_size / seconds,
        "waited_for_data": waited / seconds,
    }


def _batches(
    recipe: Recipe, strategy: tf.distribute.Strategy, preparation: Preparation, crop: float, position: Position
) -> tf.distribute.DistributedDataset:
    """Return the batches of an epoch that `position` has not seen: the same ones an uninterrupted run would see."""
    import tensorflow as tf

    seed = recipe.seed + position.epoch
    edit = shop_text.editor(recipe.text_augmentation, seed) if recipe.text_augmentation else None

    def of_worker(batch_size: int, index: int, count: int) -> tf.data.Dataset:
        done = position.step * (strategy.num_replicas_in_sync // count)  # each local replica takes one per step
        shard = Shard(index, count)
        rows = training_batches(recipe.data / "train", preparation, batch_size, seed, shard, done, edit)
        numbers = tf.data.Dataset.range(done, 2**31 // count).map(lambda at: tf.cast(at * count + index, tf.int32))

        def augmented(batch: Any, number: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
            inputs, labels, attributes = batch
            return augment(inputs, tf.stack([seed, number]), recipe.augmentation, crop), labels, attributes

        return tf.data.Dataset.zip(rows, numbers).map(augmented)

    return distribute(strategy, recipe.batch_size, of_worker)


@contextlib.contextmanager
def _scalars(directory: Path | None) -> Iterator[_Scalars]:
    """Write named values by step for TensorBoard; into nothing where `directory` is None."""
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
