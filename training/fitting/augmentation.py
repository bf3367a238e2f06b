"""Random changes of a training batch: of its photos and of its token ids.

The changes depend only on the seed, so that a resumed run repeats the same batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fashion_udf.model.tokenizer import PADDING_ID, UNKNOWN_ID

from .recipe import Augmentation

if TYPE_CHECKING:
    import tensorflow as tf

MOST_WORDS = 50  # maximum of random words that are added to a text
WHITE = 255.0  # the value with which the decoder pads photos


def augment(
    inputs: dict[str, tf.Tensor],
    seed: tf.Tensor,
    augmentation: Augmentation,
    vocabulary_size: int,
    crop: tf.Tensor | float = 1.0,
) -> dict[str, tf.Tensor]:
    """Flip, crop, shift, zoom, recolour and partly erase the photos of a batch, and change some of its token ids.

    Args:
        inputs: `image` uint8[n, s, s, 3], `image_present` float32[n, 1], `token_ids` int32[n, t].
        seed: int32[2], different for every step and replica.
        augmentation: ranges of the changes.
        vocabulary_size: number of token ids.
        crop: minimum share of a photo's area in a random square, which is enlarged to the same size (Szegedy et al.
            2015). So a garment of a small training photo is as large as in a photo of the size for scoring.

    Returns:
        Inputs of the same names, shapes and dtypes.
    """
    import tensorflow as tf

    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 5))
    warp_seed, colour_seed, erase_seed, text_seed, words_seed = seeds
    token_ids = _add_words(inputs["token_ids"], words_seed, augmentation.random_words, vocabulary_size)
    dropped = tf.random.stateless_uniform(tf.shape(token_ids), text_seed) < augmentation.word_dropout
    image = _warp(inputs["image"], warp_seed, augmentation, crop)
    darkness = WHITE - image  # 0 for the white background
    darkness = _recolour(darkness, colour_seed, augmentation.colour)
    darkness = _erase(darkness, erase_seed, augmentation.erase)
    return {
        "image": tf.cast(tf.round(WHITE - darkness), tf.uint8),
        "image_present": inputs["image_present"],
        "token_ids": tf.where(dropped & (token_ids != PADDING_ID), UNKNOWN_ID, token_ids),
    }


def _add_words(token_ids: tf.Tensor, seed: tf.Tensor, share: float, vocabulary_size: int) -> tf.Tensor:
    """Add up to `MOST_WORDS` random token ids to the end of a share of the texts.

    Otherwise a model memorises the sentences of its training and treats any other word as a sign of a category.
    """
    import tensorflow as tf

    chosen_seed, words_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    draws = tf.random.stateless_uniform([2, tf.shape(token_ids)[0], 1], chosen_seed)
    length = tf.math.count_nonzero(token_ids, axis=1, keepdims=True, dtype=tf.int32)
    added = tf.where((draws[0] < share) & (length > 0), 1 + tf.cast(draws[1] * MOST_WORDS, tf.int32), 0)
    at = tf.range(tf.shape(token_ids)[1])[tf.newaxis]
    words = tf.random.stateless_uniform(tf.shape(token_ids), words_seed, UNKNOWN_ID + 1, vocabulary_size, tf.int32)
    return tf.where((at >= length) & (at < length + added), words, token_ids)


def _warp(image: tf.Tensor, seed: tf.Tensor, augmentation: Augmentation, crop: tf.Tensor | float) -> tf.Tensor:
    import tensorflow as tf

    rows, size = tf.shape(image)[0], tf.cast(tf.shape(image)[1], tf.float32)
    draws = tf.random.stateless_uniform([5, rows], seed, -1.0, 1.0)
    mirror = tf.where((draws[0] > 0) & augmentation.flip, -1.0, 1.0)
    kept = tf.sqrt(1.0 - (1.0 - crop) * (draws[4] + 1.0) / 2.0)  # of the photo's width
    scale = kept * (1.0 + draws[1] * augmentation.zoom)
    most = augmentation.shift * size + (1.0 - kept) / 2.0 * (size - 1.0)
    shift_x, shift_y = draws[2] * most, draws[3] * most
    centre = (size - 1.0) / 2.0
    zero = tf.zeros_like(scale)
    # Output pixel (x, y) is read at (a x + b y + c, d x + e y + f), about the centre of the photo.
    transforms = tf.stack(
        [scale * mirror, zero, centre - scale * mirror * centre + shift_x]
        + [zero, scale, centre - scale * centre + shift_y]
        + [zero, zero],
        axis=1,
    )
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(image, tf.float32),
        transforms=transforms,
        output_shape=tf.shape(image)[1:3],
        fill_value=WHITE,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def _recolour(darkness: tf.Tensor, seed: tf.Tensor, most: float) -> tf.Tensor:
    """Scale each channel of each photo by a random factor. White stays white."""
    import tensorflow as tf

    factors = tf.random.stateless_uniform([tf.shape(darkness)[0], 1, 1, 3], seed, 1.0 - most, 1.0 + most)
    return tf.minimum(darkness * factors, WHITE)


def _erase(darkness: tf.Tensor, seed: tf.Tensor, most: float) -> tf.Tensor:
    """Whiten a random square of each photo, with a side of up to `most` of the photo's (Zhong et al. 2020)."""
    import tensorflow as tf

    rows, size = tf.shape(darkness)[0], tf.cast(tf.shape(darkness)[1], tf.float32)
    side, x, y = tf.unstack(tf.random.stateless_uniform([3, rows, 1], seed))
    side = side * most * size
    pixel = tf.range(size)[tf.newaxis]
    across = (pixel >= x * size - side / 2) & (pixel < x * size + side / 2)
    down = (pixel >= y * size - side / 2) & (pixel < y * size + side / 2)
    erased = down[:, :, tf.newaxis, tf.newaxis] & across[:, tf.newaxis, :, tf.newaxis]
    return tf.where(erased, 0.0, darkness)
