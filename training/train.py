"""Train the multimodal model: `python -m training.train --config conf/train.yaml --set data=DIR --set output=DIR`.

After an interruption, the same command continues the run. On several machines, start the same command on each, with
TF_CONFIG as TensorFlow documents it, and with `output` on a file system that all of them can write to.

Phases, each of which needs the previous one:
    1. the strategy: one device, every GPU of this machine, or every worker of TF_CONFIG;
    2. the run directory, which must be new or have a run of the same recipe and data;
    3. labels and tokenizer, from the training split, or from the initial bundle;
    4. model and optimizer, built under the strategy, and the model with the averaged weights;
    5. the last complete checkpoint, if this run was interrupted, and the remaining steps;
    6. weights rounded to half precision; the later phases use the rounded weights;
    7. temperatures and thresholds from the validation split, figures from validation and test;
    8. the run directory, which `python -m training.export` turns into a bundle.
"""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fashion_udf import cli, config
from fashion_udf.errors import ConfigError
from fashion_udf.model import bundle, taxonomy
from fashion_udf.model.architecture import build_model, use_normalisation
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines.prediction import Predict, Prediction, from_outputs
from fashion_udf.model.manifest import REFERENCE, Attribute
from fashion_udf.model.tokenizer import train_tokenizer

from .data import dataset, labelled_rows, shop_text
from .evaluation import figures, odd_rows, views
from .evaluation.decided import Meaning
from .evaluation.views import Seen, View
from .fitting import calibration, initial_weights, run_directory
from .fitting.epochs import Trained
from .fitting.loop import fit
from .fitting.losses import batch_loss, logit_adjustment
from .fitting.recipe import Recipe
from .fitting.step import make_optimizer
from .fitting.strategy import choose_strategy, is_chief, set_precision
from .fitting.word_head import build_word_head
from .release.weights import round_to_half

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

logger = logging.getLogger(__name__)

#: Maximum of rows of a split for calibration and figures in all forms. More rows of a large catalog only take time.
_MEASURED = 4000


def train(recipe: Recipe) -> Path:
    """Run a recipe, or continue its run from the last checkpoint.

    Returns:
        The run directory `recipe.output`.

    Raises:
        CatalogError: the training set is missing or is not plain Parquet.
        ConfigError: the backbone weights cannot be loaded, the initial bundle has another vocabulary, the directory has
            another run, or TF_CONFIG is invalid.
        BundleError: the initial bundle is damaged, or has another version.
    """
    strategy = choose_strategy()
    chief = is_chief(strategy)
    if chief:
        run_directory.start(recipe)
    initial = bundle.read(recipe.initial_bundle) if recipe.initial_bundle else None
    preparation = prepare(recipe, initial)
    trained = build(recipe, strategy, preparation, initial)
    predict = _predict(trained.averaged)
    most = recipe.validation_rows
    ids = None if most is None else labelled_rows.drawn(recipe.data / "validation", most)

    def validate(sized: dataset.Preparation) -> dict[str, float]:
        rows = labelled_rows.rows(recipe.data / "validation", product_ids=ids)
        return views.summary(views.run(predict, rows, sized, views.IN_TRAINING))

    fit(recipe, trained, preparation, validate)
    if chief:
        _finish(recipe, trained.averaged, preparation)
    return recipe.output


def build(
    recipe: Recipe,
    strategy: tf.distribute.Strategy,
    preparation: dataset.Preparation,
    initial: Bundle | None = None,
    precision: str | None = None,
) -> Trained:
    """Build the models and the optimizer of a run with their initial weights.

    Args:
        recipe: the recipe of the run.
        strategy: the devices.
        preparation: categories and attributes.
        initial: the initial bundle; None without one.
        precision: Keras' policy, `float32` or `mixed_bfloat16`. None means that the devices decide.
    """
    import keras

    from .fitting.batch_norm import fuse

    families = taxonomy.parse(_families(recipe, preparation.labels), preparation.labels)
    sizes = [len(attribute.values) for attribute in preparation.attributes]
    shape = (len(preparation.labels), recipe.vocabulary_size, sum(sizes))
    averaged = build_model(*shape)  # in float32, like the released model
    set_precision(precision)
    keras.utils.set_random_seed(recipe.seed)
    with strategy.scope():
        model = fuse(build_model(*shape, recipe.dropout), recipe.batch_norm_momentum)
        if initial:
            initial_weights.take_over(model, initial, preparation)
        initial_weights.initialise_backbone(model, recipe.backbone_weights)
        features, words = model.get_layer("photo").output.shape[-1], recipe.loss_weights.words
        word_head = build_word_head(features, recipe.vocabulary_size) if words else None
        optimizer = make_optimizer(recipe, recipe.rows(dataset.count(recipe.data / "train")))
        optimizer.build([*model.trainable_variables, *(word_head.trainable_variables if word_head else ())])
    averaged.set_weights(model.get_weights())
    use_normalisation(averaged)
    adjustment = _adjustment(recipe, preparation.labels)
    loss_of = batch_loss(model, recipe, families.parents.astype("int32"), sizes, word_head, adjustment)
    return Trained(strategy, model, averaged, optimizer, loss_of, word_head)


def _adjustment(recipe: Recipe, labels: Sequence[str]) -> NDArray[np.float32] | None:
    if not recipe.logit_adjustment:
        return None
    counts = Counter(labelled_rows.column(recipe.data / "train", "category"))
    return logit_adjustment([counts[label] for label in labels], recipe.logit_adjustment)


def _families(recipe: Recipe, labels: Sequence[str]) -> bytes:
    """Return the `taxonomy.yaml` of the run. Without one in the recipe, each category is its own family."""
    if recipe.taxonomy is None:
        return b""
    try:
        content = recipe.taxonomy.read_bytes()
    except OSError as error:
        raise ConfigError(f"Expected taxonomy to be a file. Received: {recipe.taxonomy} ({error.strerror})") from error
    return taxonomy.render(taxonomy.read_families(content, str(recipe.taxonomy)), labels)


def _finish(recipe: Recipe, model: keras.Model, preparation: dataset.Preparation) -> None:
    """Round the weights, calibrate and measure them in all forms of the text, and write the run directory."""
    weights = round_to_half(model)
    predict = _predict(model)
    content = _families(recipe, preparation.labels)
    families = taxonomy.parse(content, preparation.labels)
    attributes = [Attribute(name=each.name, values=list(each.values)) for each in preparation.attributes]

    def seen(split: str, asked: Sequence[View]) -> Seen:
        ids = labelled_rows.drawn(recipe.data / split, _MEASURED)
        rows, total = labelled_rows.rows(recipe.data / split, product_ids=ids), len(ids)
        return views.run(predict, rows, preparation, asked, families.by_category, f"{split}, all forms: ran", total)

    validation = {REFERENCE: seen("validation", views.ROBUSTNESS)}
    fitted = calibration.fit(validation, families, attributes, recipe.target_precision)[REFERENCE]
    odd = views.run(predict, odd_rows.rows(preparation.image_size), preparation, [views.PHOTO])
    measured = figures.measure(seen("test", figures.VIEWS), Meaning(families, attributes, fitted), odd)
    run_directory.write(
        recipe.output,
        weights=weights,
        preparation=preparation,
        families=content,
        calibration=fitted,
        metrics=figures.rounded(measured),
    )


def prepare(recipe: Recipe, initial: Bundle | None = None) -> dataset.Preparation:
    """Return the tokenizer, the categories and the attributes of a run.

    Raises:
        CatalogError, ConfigError: as in `train`.
    """
    train_folder = recipe.data / "train"
    labels = dataset.labels(train_folder)
    if initial is None:
        tokenizer = train_tokenizer(_texts(recipe, train_folder), recipe.vocabulary_size)
    else:
        initial_weights.require_tokenizer(initial, recipe.vocabulary_size)
        tokenizer = initial.files["tokenizer.json"]
    logger.info("%d rows, %d categories in %s", dataset.count(train_folder), len(labels), train_folder)
    attributes = dataset.attribute_values(train_folder)
    return dataset.Preparation(tokenizer, labels, recipe.stages[-1].image_size, attributes)


def _texts(recipe: Recipe, folder: Path) -> list[str]:
    """Return the texts of a split and, with text augmentation, an augmented text of each."""
    columns = [labelled_rows.column(folder, name) for name in ("product_id", "text", "category")]
    if recipe.text_augmentation is None:
        return columns[1]
    edit = shop_text.editor(recipe.text_augmentation, recipe.seed)
    return columns[1] + [edit(*row) for row in zip(*columns, strict=True)]


def _predict(model: keras.Model) -> Predict:
    import tensorflow as tf

    values = model.output["attributes"].shape[-1] if "attributes" in model.output else 0

    signature = [
        tf.TensorSpec([None, None, None, 3], tf.uint8),
        tf.TensorSpec([None, 1], tf.float32),
        tf.TensorSpec([None, None], tf.int32),
    ]

    @tf.function(input_signature=signature)
    def forward(pixels: Any, present: Any, token_ids: Any) -> Any:
        return model([pixels, present, token_ids], training=False)

    def predict(pixels: Any, present: Any, token_ids: Any) -> Prediction:
        outputs = forward(*(tf.convert_to_tensor(value) for value in (pixels, present, token_ids)))
        return from_outputs(lambda name: outputs[name].numpy(), values)

    return predict


def main() -> None:
    """Parse arguments and train."""
    parser = cli.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_config("a recipe, e.g. conf/train.yaml")
    arguments = parser.parse_args()
    train(config.load(Recipe, arguments.config, config.parse_overrides(arguments.set)))


if __name__ == "__main__":
    cli.run(main)
