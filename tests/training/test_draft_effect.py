"""The effect of a smaller decode: measured on the decode that scoring uses, against a full one, row by row."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashion_udf.model import taxonomy
from fashion_udf.model.engines.prediction import Prediction
from fashion_udf.model.tokenizer import train_tokenizer
from fashion_udf.photos import decode, resize
from fashion_udf.schema import Modality
from tests import fake_bundle, training_set
from training import draft_effect
from training.data.dataset import Preparation
from training.draft_effect import AGAIN, FILTERS, FULL, MARGINS, Decode, Effect
from training.evaluation.decided import Meaning
from training.evaluation.evaluated_model import EvaluatedModel

MANIFEST = fake_bundle.manifest()
PHOTO = (np.indices((28, 28)).sum(axis=0)[:, :, None] * [4, 3, 2]).astype(np.uint8)


def _photo(form: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(PHOTO).save(file, form)
    return file.getvalue()


def _model(predict: Callable[..., Prediction]) -> EvaluatedModel:
    preparation = Preparation(train_tokenizer(["red shirt"], 300), tuple(MANIFEST.labels), MANIFEST.image.size)
    families = taxonomy.build({}, MANIFEST.labels)
    return EvaluatedModel(MANIFEST, "v", predict, preparation, Meaning(families, [], {}), Path())


def _brightness(pixels: np.ndarray, present: np.ndarray, token_ids: np.ndarray) -> Prediction:
    """Answer with the photo's mean level, and whether there is a text."""
    level = pixels.reshape(len(pixels), -1).mean(axis=1) * present[:, 0]
    logits = np.stack([level, token_ids.any(axis=1), np.zeros(len(level))], axis=1).astype(np.float32)
    return Prediction(np.zeros((len(pixels), 256), np.float32), logits, np.empty((len(pixels), 0), np.float32))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft_effect, "FORMS", {"plain": (300, 411, 0.0), "grain": (411, 300, 2.0)})


@pytest.mark.parametrize("form", draft_effect.FORMS)
def test_a_photo_is_enlarged_to_the_form_it_names(form: str) -> None:
    with Image.open(io.BytesIO(draft_effect.enlarged(_photo("PNG"), form))) as image:
        assert (image.format, image.mode) == ("JPEG", "RGB")
        assert f"{image.width} x {image.height}" == form.partition(",")[0]


def test_the_margin_in_use_is_measured_and_is_the_decode_of_scoring() -> None:
    assert Decode(resize.DRAFT_MARGIN) in MARGINS.values()
    assert next(iter(FILTERS.values())) == Decode(resize.DRAFT_MARGIN, resize.FILTER)
    for form in draft_effect.FORMS:
        data = draft_effect.enlarged(_photo(), form)
        expected = decode.decode(data, 224).pixels
        assert expected is not None
        assert (draft_effect.decoded(data, 224, Decode(resize.DRAFT_MARGIN)) == expected).all()
        assert (draft_effect.decoded(data, 224, Decode(None)) != expected).any()


def test_every_decode_is_measured_against_the_full_one(small: None, tmp_path: Path) -> None:
    rows = draft_effect.photographed(training_set.write(tmp_path) / "test", 8)
    assert 4 <= len(rows) <= 8
    effects = draft_effect.measure(_model(_brightness), rows, "grain")
    assert list(effects) == list(MARGINS)
    assert not effects[FULL].difference.any()
    assert (effects[AGAIN].difference[:, 0] > 0).all()
    assert (effects["margin 1"].difference[:, 0] >= effects["margin 2"].difference[:, 0]).all()
    for effect in effects.values():
        mean, largest, squared = effect.difference.T
        assert len(mean) == len(effect.milliseconds) == len(rows) and (effect.milliseconds > 0).all()
        assert (mean <= largest).all() and (mean**2 <= squared + 1e-9).all() and (squared <= largest**2).all()
    levels = effects[FULL].logits
    assert np.ptp(levels[Modality.BOTH][:, 0]) > 1, "rows keep their own photos"
    assert [*levels[Modality.BOTH][:, 1]] == [bool(text) for text in rows["text"].to_pylist()]
    assert not levels[Modality.IMAGE][:, 1].any()


def test_every_filter_is_measured_against_the_one_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft_effect, "FORMS", {"twice": (520, 300, 2.0)})  # decoded at 130 pixels, for 64
    rows = draft_effect.photographed(training_set.write(tmp_path) / "validation", 4)
    effects = draft_effect.measure(_model(_brightness), rows, "twice", FILTERS)
    assert [*effects][::2] == ["bicubic", "bilinear", "hamming", "box"]
    assert [name for name, effect in effects.items() if not effect.difference.any()] == ["bicubic"]
    bilinear, box = (effects[name].difference[:, 0].mean() for name in ("bilinear", "box"))
    assert 0 < bilinear < box, "the wider filter is nearer to the widest"
    assert [row[0] for row in draft_effect.table([effects], MANIFEST).rows] == [*FILTERS]


def test_rows_without_a_whole_photo_are_left_out(tmp_path: Path) -> None:
    folder = training_set.write(tmp_path) / "test"
    rows = pq.read_table(folder)
    photos = [*rows["image"].to_pylist()[:2], b"", b"no photo"]
    kept = [decode.decode(photo).pixels is not None for photo in photos]
    changed = rows[:4].set_column(rows.schema.get_field_index("image"), rows.schema.field("image"), [photos])
    pq.write_table(changed, folder / "part-0.parquet")
    assert draft_effect.photographed(folder, 9)["image"].to_pylist() == [
        photo for photo, keep in zip(photos, kept, strict=True) if keep
    ]
    assert len(draft_effect.photographed(folder, 1)) == kept[0]


def _effect(logits: list[list[float]], difference: list[tuple[float, float, float]], milliseconds: float) -> Effect:
    values = np.asarray(logits, np.float32)
    by_modality = {name: values for name in (Modality.BOTH, Modality.IMAGE)}
    count = len(logits)
    return Effect(np.full(count, milliseconds), np.asarray(difference), np.zeros(count, np.int32), by_modality)


def test_the_table_counts_changed_categories_and_joins_forms() -> None:
    none: list[tuple[float, float, float]] = [(0, 0, 0)] * 2
    never = -100.0  # of another kind than both categories
    full = _effect([[2.0, 0.0, never], [0.0, 1.0, never]], none, 9.0)
    other = _effect([[2.0, 0.0, never], [1.0, 0.0, never]], [(0.5, 3, 1), (0.1, 2, 0.5)], 4.0)
    form = {name: full if name == FULL else other for name in MARGINS}
    rows = {row[0]: row[1:] for row in draft_effect.table([form], MANIFEST).rows}
    sigmoid = 1 / (1 + np.exp(-1))
    change = f"{(2 * sigmoid - 1) / 2:.4f}"  # of the second row alone, whose best category was the second
    assert rows[FULL][:8] == ["9.0", "0.000", "0.000", "0", "-", "0", "0.5000", "0.0000"]
    assert rows["margin 2"][:8] == ["4.0", "0.300", "0.500", "3", "49.4", "1", "1.0000", change]
    joined = draft_effect.table([form, {name: full for name in MARGINS}], MANIFEST)
    assert joined.note.startswith("4 photos.")
    assert {row[0]: row[1:] for row in joined.rows}["margin 2"][1:7] == ["0.150", "0.500", "3", "52.4", "1", "0.7500"]


def test_the_command_prints_a_table_by_form_and_one_of_all(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read(*asked: Any) -> EvaluatedModel:
        assert asked == ("builtin", tmp_path, "openvino", "f32")
        return _model(_brightness)

    monkeypatch.setattr(draft_effect.evaluated_model, "read", read)
    training_set.write(tmp_path)
    monkeypatch.setattr("sys.argv", ["draft_effect", "--data", str(tmp_path), "--rows", "3"])
    draft_effect.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line in ("plain", "grain", "all")] == ["plain", "grain", "all"]
    assert sum(line.startswith("margin 1.5") for line in lines) == 3
    monkeypatch.setattr("sys.argv", ["draft_effect", "--data", str(tmp_path), "--rows", "1", "--filters"])
    draft_effect.main()
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("hamming, gap 1") for line in lines) == 3
    assert not any(line.startswith("margin") for line in lines)
