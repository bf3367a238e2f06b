"""Augmentation: reproducible, shape-preserving, and padding stays padding."""

from __future__ import annotations

import numpy as np
import pytest

from fashion_udf.model.tokenizer import PADDING_ID, UNKNOWN_ID
from training.fitting.recipe import Augmentation

tf = pytest.importorskip("tensorflow")

from training.fitting.augmentation import augment  # noqa: E402

VOCABULARY = 500
STILL = Augmentation(flip=False, shift=0.0, zoom=0.0, word_dropout=0.0)


def _inputs(rows: int = 64) -> dict[str, object]:
    random = np.random.default_rng(0)
    return {
        "image": tf.constant(random.integers(0, 255, (rows, 32, 32, 3), np.uint8)),
        "image_present": tf.constant((np.arange(rows) % 4 != 0).astype(np.float32)[:, None]),
        "token_ids": tf.constant(np.where(np.arange(rows)[:, None] % 4 == 1, 0, 7).repeat(5, 1).astype(np.int32)),
    }


def _augment(inputs: dict[str, object], seed: tuple[int, int], augmentation: Augmentation, crop: float = 1.0) -> dict:
    outputs = augment(inputs, tf.constant(seed), augmentation, VOCABULARY, crop)
    return {name: value.numpy() for name, value in outputs.items()}


def test_without_changes_asked_for_the_batch_is_untouched() -> None:
    inputs = _inputs()
    outputs = _augment(inputs, (1, 2), STILL)
    for name, value in inputs.items():
        np.testing.assert_array_equal(outputs[name], value.numpy())


def test_the_same_seed_gives_the_same_batch_and_another_seed_another() -> None:
    first, again, other = (_augment(_inputs(), seed, Augmentation()) for seed in [(1, 2), (1, 2), (1, 3)])
    np.testing.assert_array_equal(first["image"], again["image"])
    assert (first["image"] != other["image"]).any()


def test_word_dropout_makes_its_share_of_tokens_unknown_and_leaves_padding() -> None:
    token_ids = _augment(_inputs(256), (5, 5), Augmentation(word_dropout=0.3))["token_ids"]
    original = _inputs(256)["token_ids"].numpy()
    assert (token_ids[original == PADDING_ID] == PADDING_ID).all()
    assert set(token_ids[original != PADDING_ID]) == {7, UNKNOWN_ID}
    assert (token_ids[original != PADDING_ID] == UNKNOWN_ID).mean() == pytest.approx(0.3, abs=0.05)


def test_random_words_follow_the_last_token_of_their_share_of_texts() -> None:
    inputs = _inputs(512)
    padded = np.pad(inputs["token_ids"].numpy(), ((0, 0), (0, 60)))
    settings = STILL.model_copy(update={"random_words": 0.4})
    token_ids = _augment({**inputs, "token_ids": tf.constant(padded)}, (5, 5), settings)["token_ids"]
    np.testing.assert_array_equal(token_ids[:, :5], padded[:, :5])
    has_text, added = padded[:, 0] != PADDING_ID, (token_ids[:, 5:] != PADDING_ID).sum(axis=1)
    assert not added[~has_text].any()
    assert (added[has_text] > 0).mean() == pytest.approx(0.4, abs=0.08)
    assert 40 < added.max() <= 50
    words = token_ids[:, 5:][token_ids[:, 5:] != PADDING_ID]
    assert words.min() > UNKNOWN_ID and words.max() < VOCABULARY and len(set(words)) > 400
    ends = np.cumprod(token_ids[:, 5:] != PADDING_ID, axis=1).sum(axis=1)
    np.testing.assert_array_equal(ends, added)  # without a gap


def test_a_flip_mirrors_the_photo() -> None:
    flipped = _augment(_inputs(), (1, 2), Augmentation(flip=True, shift=0, zoom=0))
    original = _inputs()["image"].numpy()
    mirrored = (flipped["image"] == original[:, :, ::-1]).all(axis=(1, 2, 3))
    same = (flipped["image"] == original).all(axis=(1, 2, 3))
    assert (mirrored ^ same).all()
    assert 10 < mirrored.sum() < 54


def test_what_a_shift_uncovers_is_white() -> None:
    black = {**_inputs(), "image": tf.zeros((64, 32, 32, 3), tf.uint8)}
    shifted = _augment(black, (1, 2), Augmentation(flip=False, shift=0.3, zoom=0))
    assert (shifted["image"].max(axis=(1, 2, 3)) == 255).mean() > 0.8
    assert (shifted["image"][:, 12:20, 12:20] == 0).mean() > 0.9


def test_a_crop_enlarges_a_square_of_the_photo_that_lies_within_it() -> None:
    brightness = np.arange(100, 132, dtype=np.uint8)  # grows by 1 a pixel, to the right
    ramp = np.broadcast_to(brightness[None, :, None], (64, 32, 32, 3))
    cropped = _augment({**_inputs(), "image": tf.constant(ramp)}, (1, 2), STILL, crop=0.25)["image"].astype(int)
    width = cropped[:, 0, -1, 0] - cropped[:, 0, 0, 0] + 1  # pixels of the photo that are left
    assert cropped.min() >= 100 and cropped.max() <= 131, "nothing outside the photo is seen"
    assert width.min() >= 16 and width.min() < 19 and width.max() > 28
    assert len(set(cropped[:, 0, 0, 0])) > 8, "squares lie anywhere"


def test_recolouring_changes_the_garment_and_leaves_the_white_background_white() -> None:
    photo = np.full((8, 32, 32, 3), 255, np.uint8)
    photo[:, 8:24, 8:24] = (40, 120, 200)
    outputs = _augment({**_inputs(8), "image": tf.constant(photo)}, (3, 4), STILL.model_copy(update={"colour": 0.5}))
    assert (outputs["image"][photo == 255] == 255).all()
    garments = outputs["image"][:, 8, 8].astype(int)
    assert len({tuple(garment) for garment in garments}) == 8
    assert (np.abs((255 - garments) / (255 - np.array([40, 120, 200])) - 1) <= 0.5 + 0.01).all()


def test_erasing_whitens_one_square_of_at_most_the_given_side() -> None:
    black = {**_inputs(), "image": tf.zeros((64, 32, 32, 3), tf.uint8)}
    erased = _augment(black, (1, 2), STILL.model_copy(update={"erase": 0.5}))["image"] == 255
    across, down = erased.any(axis=(1, 3)), erased.any(axis=(2, 3))
    assert (erased == (down[:, :, None, None] & across[:, None, :, None])).all()
    assert across.sum(axis=1).max() <= 17 and down.sum(axis=1).max() <= 17
    assert across.sum(axis=1).max() > 10
