"""Train the multimodal model: `python -m training.train --config conf/train.yaml --set data=DIR --set output=DIR`.

Started again after an interruption, the same command continues the run. On several machines the same command runs on
each, with TF_CONFIG set as TensorFlow documents it, and `output` on a file system that all of them see.

Phases, in this order because each needs the one before:
    1. the strategy: one device, every GPU of this machine, or every worker of TF_CONFIG;
    2. the run directory, which must be new or hold a run of the same recipe and data;
    3. labels and tokenizer, from the training split alone, or from the bundle that training starts with;
    4. model and optimizer, built under the strategy, and the model that holds the averaged weights;
    5. the last complete checkpoint, if this run was interrupted, and the steps that are left;
    6. weights rounded to half precision, as they are released; the later phases use the rounded weights;
    7. temperatures and thresholds from the validation split, figures from validation and test;
    8. the run directory, which `python -m training.export` turns into a bundle.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashion_udf import cli, config
from fashion_udf.errors import ConfigError
from fashion_udf.model import bundle, taxonomy
from fashion_udf.model.architecture import build_model, use_normalisation
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines.prediction import Predict, Prediction, from_outputs
from fashion_udf.model.engines.tensorflow import load_weights
from fashion_udf.model.manifest import Attribute
from fashion_udf.model.tokenizer import train_tokenizer

from .data import dataset, labelled_rows, shop_text
from .evaluation import figures, odd_rows, views
from .evaluation.decided import Meaning
from .evaluation.views import Seen, View
from .fitting import calibration, run_directory
from .fitting.loop import Trained, fit
from .fitting.losses import batch_loss
from .fitting.recipe import Recipe
from .fitting.step import make_optimizer
from .fitting.strategy import choose_strategy, is_chief, set_precision
from .fitting.word_head import build_word_head
from .release.weights import round_to_half

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

logger = logging.getLogger(__name__)

#: Rows of a split that are looked at after each epoch, and at the end, at most: a large catalog has more than it takes.
_WATCHED, _MEASURED = 1000, 4000


def train(recipe: Recipe) -> Path:
    """Run a recipe, or continue its run from the last checkpoint.

    Returns:
        The run directory `recipe.output`.

    Raises:
        CatalogError: the training set is missing or is not plain Parquet.
        ConfigError: the backbone weights cannot be had, the initial bundle has other categories, the directory holds
            another run, or TF_CONFIG is wrong.
        BundleError: the initial bundle is damaged, or of another version.
    """
    strategy = choose_strategy()
    chief = is_chief(strategy)
    if chief:
        run_directory.start(recipe)
    initial = bundle.read(recipe.initial_bundle) if recipe.initial_bundle else None
    preparation = _prepare(recipe, initial)
    trained = _build(recipe, strategy, preparation, initial)
    predict = _predict(trained.averaged)

    def validate(sized: dataset.Preparation) -> dict[str, float]:
        rows = labelled_rows.sample(recipe.data / "validation", _WATCHED)
        return views.accuracies(views.run(predict, rows, sized, views.IN_TRAINING))

    fit(recipe, trained, preparation, validate)
    if chief:
        _finish(recipe, trained.averaged, preparation)
    return recipe.output


def _build(
    recipe: Recipe, strategy: tf.distribute.Strategy, preparation: dataset.Preparation, initial: Bundle | None
) -> Trained:
    import keras

    from .fitting.batch_norm import fuse

    families = taxonomy.parse(_families(recipe, preparation.labels), preparation.labels)
    sizes = [len(attribute.values) for attribute in preparation.attributes]
    shape = (len(preparation.labels), recipe.vocabulary_size, sum(sizes))
    averaged = build_model(*shape)  # in float32, as it is released
    set_precision()
    keras.utils.set_random_seed(recipe.seed)
    with strategy.scope():
        model = build_model(*shape, recipe.dropout)
        model = fuse(model, recipe.batch_norm_momentum)
        if initial:
            load_weights(model, initial.files["weights.safetensors"])
        _initialise_backbone(model, recipe)
        word_head = None
        if recipe.loss_weights.words:
            word_head = build_word_head(model.get_layer("photo").output.shape[-1], recipe.vocabulary_size)
        optimizer = make_optimizer(recipe, dataset.count(recipe.data / "train"))
        optimizer.build([*model.trainable_variables, *(word_head.trainable_variables if word_head else ())])
    averaged.set_weights(model.get_weights())
    use_normalisation(averaged)
    loss_of = batch_loss(model, recipe, families.parents.astype("int32"), sizes, word_head)
    return Trained(strategy, model, averaged, optimizer, loss_of, word_head)


def _families(recipe: Recipe, labels: Sequence[str]) -> bytes:
    """Return the `taxonomy.yaml` of the run: without one in the recipe, each category is its own family."""
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
        rows = labelled_rows.sample(recipe.data / split, _MEASURED)
        total = min(_MEASURED, dataset.count(recipe.data / split))
        return views.run(predict, rows, preparation, asked, families.by_category, f"{split}, all forms: ran", total)

    fitted = calibration.fit(seen("validation", views.ROBUSTNESS), families, attributes, recipe.target_precision)
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


def _prepare(recipe: Recipe, initial: Bundle | None) -> dataset.Preparation:
    train_folder = recipe.data / "train"
    labels = dataset.labels(train_folder)
    if initial is None:
        tokenizer = train_tokenizer(_texts(recipe, train_folder), recipe.vocabulary_size)
    else:
        manifest, tokenizer = initial.manifest, initial.files["tokenizer.json"]
        if (tuple(manifest.labels), manifest.text.vocabulary_size) != (labels, recipe.vocabulary_size):
            raise ConfigError(
                f"Expected initial_bundle with the {len(labels)} categories of {train_folder} and vocabulary_size "
                f"{recipe.vocabulary_size}. Received: {len(manifest.labels)} categories, "
                f"{len({*manifest.labels} & {*labels})} of these, and {manifest.text.vocabulary_size}"
            )
    logger.info("%d rows, %d categories in %s", dataset.count(train_folder), len(labels), train_folder)
    attributes = dataset.attribute_values(train_folder)
    return dataset.Preparation(tokenizer, labels, recipe.stages[-1].image_size, attributes)


def _texts(recipe: Recipe, folder: Path) -> list[str]:
    """Return the texts of a split and, where training changes them, each one changed once."""
    columns = [labelled_rows.column(folder, name) for name in ("product_id", "text", "category")]
    if recipe.text_augmentation is None:
        return columns[1]
    edit = shop_text.editor(recipe.text_augmentation, recipe.seed)
    return columns[1] + [edit(*row) for row in zip(*columns, strict=True)]


def _initialise_backbone(model: keras.Model, recipe: Recipe) -> None:
    import keras

    weights = recipe.backbone_weights
    if weights == "none":
        return
    try:
        source = keras.applications.EfficientNetB0(include_top=False, weights=weights, pooling="avg")
    except Exception as error:  # a refused download, a wrong file: whatever Keras raises, the remedy is the same
        raise ConfigError(
            "Expected backbone_weights to be 'none', a weights file, or 'imagenet' with a network to download it from. "
            f"Received: {weights!r} ({type(error).__name__})"
        ) from error
    if weights == "imagenet":
        _fold_rescaling(source)
    model.get_layer("efficientnetb0").set_weights(source.get_weights())
    use_normalisation(model)


def _fold_rescaling(backbone: keras.Model) -> None:
    """Make the normalisation of pixels divide by the standard deviation, as it does with the layer that we lack.

    Keras' ImageNet weights hold the standard deviation where the variance belongs, so that normalising divides by its
    root. A second layer, which is there for `weights="imagenet"` alone, divides by the root once more.
    """
    (layer,) = (layer for layer in backbone.layers if layer.name.startswith("normalization"))
    mean, deviation, *count = layer.get_weights()
    layer.set_weights([mean, deviation**2, *count])


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="a recipe, e.g. conf/train.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the recipe")
    arguments = parser.parse_args()
    train(config.load(Recipe, arguments.config, config.parse_overrides(arguments.set)))


if __name__ == "__main__":
    cli.run(main)
