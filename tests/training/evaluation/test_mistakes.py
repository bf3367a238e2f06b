"""Mistakes: the surest first, suspicious labels by two witnesses, and photos encoded anew."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from training.evaluation import mistakes
from training.evaluation.decided import Answer
from training.evaluation.mistakes import Mistake


def _photo() -> bytes:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "<script>alert(1)</script>"  # ImageDescription
    Image.new("RGB", (40, 30), (200, 30, 30)).save(file, "JPEG", exif=exif)
    return file.getvalue()


def _answer(labels: list[int], chosen: list[int], confidence: list[float]) -> Answer:
    decision = np.full(len(labels), "review", object)
    return Answer(np.asarray(labels, np.int32), np.asarray(chosen), np.asarray(confidence), decision)


def test_the_surest_mistakes_come_first_and_hits_never() -> None:
    answer = _answer([0, 0, 0, 0], [1, 1, 0, 1], [0.9, 0.5, 0.99, 0.7])
    assert mistakes.surest(answer, 2).tolist() == [0, 3]


def test_a_label_is_suspicious_where_photo_and_text_agree_against_it() -> None:
    labels, confidence = [0, 0, 0, 1], [0.6, 0.9, 0.9, 0.9]
    photo, text = _answer(labels, [1, 1, 0, 1], confidence), _answer(labels, [1, 1, 1, 1], confidence)
    assert mistakes.suspicious_labels(photo, text, 5).tolist() == [1, 0]
    assert mistakes.suspicious_labels(photo, text, 1).tolist() == [1]
    disagreeing = _answer(labels, [1, 2, 0, 1], confidence)
    assert mistakes.suspicious_labels(disagreeing, text, 5).tolist() == [0]


def test_a_photo_is_encoded_anew_and_carries_nothing_but_pixels() -> None:
    uri = mistakes.data_uri(_photo())
    head, _, encoded = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    data = base64.b64decode(encoded)
    assert b"script" in _photo() and b"script" not in data
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "JPEG" and image.size == (224, 224)
        red, green, blue = image.getpixel((112, 112))
        assert red > 180 and green < 60 and blue < 60


def test_what_is_no_photo_gives_no_address() -> None:
    assert mistakes.data_uri(b"") == mistakes.data_uri(b"<svg onload='alert(1)'/>") == ""


def test_photos_are_joined_by_product() -> None:
    rows = [Mistake(name, "t", "a", "b", 0.5, "") for name in ("1", "2")]
    with_one = mistakes.with_photos(rows, {"2": _photo()})
    assert [row.product_id for row in with_one] == ["1", "2"]
    assert [bool(row.photo) for row in with_one] == [False, True]
