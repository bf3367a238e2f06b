"""Odd pictures: of the size asked for, different, repeatable, half of the kinds for judging."""

from __future__ import annotations

import numpy as np
import pytest

from training.data import odd_photos
from training.data.odd_photos import HELD_OUT, KINDS, TRAINED

#: Nowhere smooth, so that a spoilt photo differs from the photo.
PHOTO = np.random.default_rng(0).integers(0, 256, (90, 60, 3)).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [32, 65])
def test_every_kind_yields_different_pictures_of_the_size_asked_for(kind: str, size: int) -> None:
    pictures = list(odd_photos.odd_photos(12, 1, size, [PHOTO, PHOTO[:, ::-1]], [kind]))
    assert {(picture.shape, picture.dtype.name) for picture in pictures} == {((size, size, 3), "uint8")}
    assert len({picture.tobytes() for picture in pictures}) >= 10


def test_the_same_seed_yields_the_same_pictures_and_another_one_others() -> None:
    def drawn(seed: int) -> list[bytes]:
        return [picture.tobytes() for picture in odd_photos.odd_photos(len(KINDS), seed, 32, [PHOTO])]

    assert drawn(1) == drawn(1)
    assert not {*drawn(1)} & {*drawn(2)}


def test_kinds_come_in_turn_and_those_that_spoil_a_photo_need_one() -> None:
    without = len(KINDS) - 2
    pictures = list(odd_photos.odd_photos(without + 1, 1, 32))
    assert len(pictures) == without + 1
    flat = list(KINDS).index("flat colour")
    assert np.ptp(pictures[flat].reshape(-1, 3), axis=0).tolist() == [0, 0, 0]
    with pytest.raises(ValueError) as raised:
        next(odd_photos.odd_photos(1, 1, 32, kinds=["blurred photo"]))
    assert str(raised.value) == (
        "Expected a kind of pictures, or photos of products to change. Received: ['blurred photo'], no photo"
    )


def test_a_shuffled_photo_has_its_pixels_and_not_their_places() -> None:
    (picture,) = odd_photos.odd_photos(1, 3, 60, [PHOTO[:60, :60]], ["shuffled photo"])
    assert (picture != PHOTO[:60, :60]).mean() > 0.5
    assert abs(picture.mean() - PHOTO[:60, :60].mean()) < 5


def test_a_blurred_photo_has_no_edges_left() -> None:
    (picture,) = odd_photos.odd_photos(1, 3, 60, [PHOTO], ["blurred photo"])
    assert np.abs(np.diff(picture.astype(int), axis=0)).max() <= 4


def test_half_of_the_kinds_are_for_judging() -> None:
    assert {*TRAINED, *HELD_OUT} == set(KINDS) and not {*TRAINED} & {*HELD_OUT}
    assert len(TRAINED) == len(HELD_OUT)
