"""Scoring a batch with no Spark: one row out for each row in, whatever is wrong with its photo or text."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fashion_udf.model import manifest
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines.prediction import Prediction
from fashion_udf.model.manifest import Manifest
from fashion_udf.model.tokenizer import train_tokenizer
from fashion_udf.photos import decode, fetch
from fashion_udf.photos.photo import Photo
from fashion_udf.schema import SCORE, Status, to_spark
from fashion_udf.scoring import scorer
from fashion_udf.scoring.batches import Batch
from fashion_udf.scoring.scorer import Scorer, Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LABELS = ["Hats", "Shirts", "Shoes"]
SETTINGS = Settings("fake", "f32", 4, 2, "bytes", (), 100_000, 1_000_000)


def _calibration(temperature: float) -> manifest.Calibration:
    limits = manifest.Calibrated(temperature=temperature, auto=0.9, review=0.5)
    return manifest.Calibration(category=limits, parent=limits, attributes={"colour": limits}, novelty=0.25)


def _bundle() -> Bundle:
    by_modality = {"both": 1.0, "image": 2.0, "text": 0.5}
    facts = Manifest(
        name="fake",
        labels=LABELS,
        image=manifest.ImageFacts(size=32, preprocessing_version="1"),
        text=manifest.TextFacts(max_tokens=100, vocabulary_size=50),
        engines={},
        attributes=[manifest.Attribute(name="colour", values=["Dark", "Light"])],
        calibration={"f32": {name: _calibration(temperature) for name, temperature in by_modality.items()}},
        training_data=manifest.TrainingData(digest="0" * 64, counts={}),
        library_versions={},
    )
    files = {
        "tokenizer.json": train_tokenizer(["red hat blue shirt old shoe"] * 3, 50),
        "taxonomy.yaml": b"Headwear: [Hats]\nOutfit: [Shirts, Shoes]\n",
    }
    return Bundle(facts, files, "v1")


#: A logit of another kind that takes nothing from the others.
NONE = -100.0


def _predict(pixels: Any, present: Any, token_ids: Any) -> Prediction:
    """A transparent model: a dark photo is a hat, a text is a shirt; both push the logits up by one each."""
    dark = present[:, 0] * (1.0 - pixels.reshape(len(pixels), -1).mean(axis=1) / 255.0)
    words = (token_ids != 0).any(axis=1).astype(np.float32)
    zero = np.zeros(len(dark))
    logits = np.stack([4 * dark, 3 * words, zero, zero + NONE], axis=1).astype(np.float32)
    embedding = np.zeros((len(dark), 256), np.float32)
    embedding[:, 0] = 1
    return Prediction(embedding, logits, np.stack([2 * dark, zero], axis=1).astype(np.float32))


def _photo(level: int = 0, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 40), (level,) * 3).save(file, form)
    return file.getvalue()


def _scores(photos: Sequence[bytes | str | None], titles: Sequence[str | None], **changes: Any) -> Any:
    ready = Scorer(_bundle(), replace(SETTINGS, **changes), _predict)
    return ready.score(titles, [None] * len(titles), photos)


def test_a_row_gets_its_category_confidence_decision_and_best_k() -> None:
    row = _scores([_photo()], ["a red hat"]).iloc[0]
    expected = np.exp([4.0, 3.0, 0.0]) / np.exp([4.0, 3.0, 0.0]).sum()
    assert (row["model_category"], row["decision"], row["modality"], row["status"]) == ("Hats", "review", "both", "ok")
    assert row["confidence"] == pytest.approx(expected[0], abs=1e-6)
    assert row["top_categories"] == [("Hats", pytest.approx(expected[0])), ("Shirts", pytest.approx(expected[1]))]
    assert row["image_sha256"] == row["image_identity"] == hashlib.sha256(_photo()).hexdigest()
    assert len(row["embedding"]) == 256


def test_a_row_gets_its_family_attributes_and_novelty() -> None:
    row = _scores([_photo()], ["a red hat"]).iloc[0]
    assert (row["parent_category"], row["parent_decision"]) == ("Headwear", "review")
    assert row["parent_confidence"] == row["confidence"]  # a family of one category
    assert row["novelty"] == pytest.approx(0, abs=1e-6)
    dark = np.exp(2) / (np.exp(2) + 1)
    assert row["attributes"] == [("colour", "Dark", pytest.approx(dark, abs=1e-6), "review")]


def test_a_row_says_whether_the_tokenizer_can_read_its_text() -> None:
    scores = _scores([_photo(), None, _photo(), None], ["шапка 42", "رداء", "hat", None])
    assert list(scores["text_unreadable"]) == [True, True, False, False]
    assert list(scores["status"]) == ["ok", "image_none", "ok", "image_none"], "it is scored all the same"


def test_a_novel_product_is_reviewed_whatever_its_confidence() -> None:
    def novel(pixels: Any, present: Any, token_ids: Any) -> Prediction:
        prediction = _predict(pixels, present, token_ids)
        prediction.logits[:] = [9.0, 0.0, 0.0, 8.0]
        return prediction

    row = Scorer(_bundle(), SETTINGS, novel).score(["hat"], [None], [_photo()]).iloc[0]
    assert row["novelty"] == pytest.approx(1 / (1 + np.e), abs=1e-3)
    assert row["confidence"] == pytest.approx(1 - row["novelty"], abs=1e-3)
    assert (row["decision"], row["parent_decision"], row["attributes"][0][3]) == ("review", "review", "review")


def test_a_row_that_is_not_scored_has_null_for_what_the_model_would_say() -> None:
    row = _scores([None], [None]).iloc[0]
    assert (row["decision"], row["parent_decision"]) == ("abstain", "abstain")
    nulls = ("model_category", "top_categories", "parent_category", "parent_confidence", "novelty", "attributes")
    assert [row[name] for name in nulls] == [None] * 6


def test_each_modality_has_its_own_temperature() -> None:
    scores = _scores([_photo(), None], ["", "shirt"])
    assert list(scores["modality"]) == ["image", "text"]
    assert scores["confidence"][0] == pytest.approx(np.exp(2) / (np.exp(2) + 2), abs=1e-6)  # logits 4, 0, 0 at 2.0
    assert scores["confidence"][1] == pytest.approx(np.exp(6) / (np.exp(6) + 2), abs=1e-6)  # logits 0, 3, 0 at 0.5
    assert list(scores["decision"]) == ["review", "auto"]


@pytest.mark.parametrize(
    ("photo", "title", "status", "modality"),
    [
        (_photo(), "hat", Status.OK, "both"),
        (_photo(), " ", Status.TEXT_MISSING, "image"),
        (None, "hat", Status.IMAGE_NONE, "text"),
        (None, None, Status.IMAGE_NONE, "none"),
        (b"", "hat", Status.IMAGE_TRUNCATED, "text"),
        (b" nan", "hat", Status.IMAGE_NONE, "text"),
        (base64.b64encode(_photo()), " ", Status.TEXT_MISSING, "image"),
        (_photo(form="JPEG")[:400], "hat", Status.IMAGE_TRUNCATED, "text"),
        (b"<html></html>", "hat", Status.IMAGE_UNSUPPORTED, "text"),
        (b"\0" * 200_000, "hat", Status.IMAGE_TOO_LARGE, "text"),
        (b"<html></html>", None, Status.IMAGE_UNSUPPORTED, "none"),
    ],
)
def test_the_photo_s_reason_wins_and_the_other_input_is_still_used(
    photo: bytes | None, title: str | None, status: Status, modality: str
) -> None:
    row = _scores([photo], [title]).iloc[0]
    assert (row["status"], row["modality"]) == (status, modality)
    if modality == "none":
        assert (row["model_category"], row["confidence"], row["embedding"], row["decision"]) == (
            None,
            None,
            None,
            "abstain",
        )
    else:
        assert row["model_category"] in LABELS


def test_a_photo_by_uri_is_read_below_its_root_only(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a b.png").write_bytes(_photo())
    (tmp_path / "out.png").write_bytes(_photo())
    uris = [f"{tmp_path}/in/a b.png", f"{tmp_path}/out.png", f"{tmp_path}/in/none.png", "http://host/a.png"]
    scores = _scores(uris, ["hat"] * 4, photo="uri", image_roots=(f"{tmp_path}/in",))
    assert list(scores["status"]) == ["ok", "image_forbidden", "image_missing", "image_forbidden"]
    assert scores["image_sha256"][0] == hashlib.sha256(_photo()).hexdigest()
    assert scores["image_identity"][0].startswith(f"{len(_photo())}-")


def test_a_host_is_asked_by_the_validator_and_what_it_leaves_out_is_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    def read(uri: str, roots: Any, max_bytes: int, remote: Any, validator: str | None) -> Photo:
        asked.append(validator)
        same = validator is not None
        return Photo(None if same else _photo(), Status.OK, None, unchanged=same, validator='"b"')

    monkeypatch.setattr(fetch, "read", read)
    hosts = Scorer(_bundle(), replace(SETTINGS, photo="uri"), _predict)
    scores = hosts.score(["hat"] * 3, [None] * 3, ["https://h/a"] * 3, ["s", None, "t"], ['"a"', '"a"', None])
    assert asked == ['"a"', None, None], "a photo that is not known is not asked for by a condition"
    assert list(scores["image_validator"]) == ['"b"'] * 3
    assert list(scores["unchanged"]) == [True, False, False]
    assert list(scores["image_sha256"]) == ["s", *[hashlib.sha256(_photo()).hexdigest()] * 2]
    assert list(scores["image_identity"]) == [None] * 3, "the photo of a URL is the same while the URL is"


def test_a_row_the_engine_refuses_is_not_scored_and_the_others_are() -> None:
    def failing(pixels: Any, present: Any, token_ids: Any) -> Prediction:
        prediction = _predict(pixels, present, token_ids)
        prediction.logits[0] = np.nan
        return prediction

    scores = Scorer(_bundle(), SETTINGS, failing).score(["hat", "hat"], [None, None], [_photo(), _photo()])
    assert list(scores["status"]) == ["not_scored", "ok"]
    assert scores["model_category"][0] is None
    assert scores["embedding"][0] is None


@pytest.mark.parametrize("output", ["embedding", "logits", "attributes"])
def test_a_number_that_is_not_finite_in_any_output_leaves_the_row_without_an_answer(output: str) -> None:
    def failing(pixels: Any, present: Any, token_ids: Any) -> Prediction:
        prediction = _predict(pixels, present, token_ids)
        getattr(prediction, output)[0, 0] = np.inf
        return prediction

    row = Scorer(_bundle(), SETTINGS, failing).score(["hat"], [None], [_photo()]).iloc[0]
    assert (row["status"], row["decision"], row["parent_decision"]) == ("not_scored", "abstain", "abstain")
    assert row["model_category"] is row["embedding"] is row["attributes"] is None


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 90, 255, None, "bad"]), st.sampled_from(["hat", "", None])), max_size=11))
def test_rows_in_are_rows_out_and_the_batch_size_changes_nothing(rows: list[tuple[Any, str | None]]) -> None:
    photos = [b"junk" if level == "bad" else None if level is None else _photo(level) for level, _ in rows]
    titles = [title for _, title in rows]
    alone, together = _scores(photos, titles, batch_size=1), _scores(photos, titles, batch_size=64)
    assert len(alone) == len(rows)
    assert list(alone.columns) == SCORE.names
    for name in SCORE.names:
        if name == "embedding":
            continue
        assert list(alone[name]) == list(together[name])


def test_categories_follow_the_logits_row_by_row_whatever_is_between_them() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(9, 4)).astype(np.float32)
    logits[4, 1] = np.nan
    logits[7] = 1.0  # a tie: the first label wins
    logits[:, 3] -= 4  # hardly another kind

    def drawn(pixels: Any, present: Any, token_ids: Any) -> Prediction:
        start = seen[0]
        seen[0] += len(pixels)
        eye = np.eye(256, dtype=np.float32)
        return Prediction(eye[start : seen[0]], logits[start : seen[0]].copy(), logits[start : seen[0], :2].copy())

    seen = [0]
    scores = Scorer(_bundle(), SETTINGS, drawn).score(["hat"] * 9, [None] * 9, [_photo()] * 9)
    for row, values in enumerate(logits):
        if row == 4:
            assert (scores["status"][row], scores["decision"][row]) == ("not_scored", "abstain")
            assert scores["top_categories"][row] is scores["confidence"][row] is scores["model_category"][row] is None
            continue
        expected = np.exp(values) / np.exp(values).sum()
        order = np.argsort(-expected[:3], kind="stable")[:2]
        assert [name for name, _ in scores["top_categories"][row]] == [LABELS[at] for at in order]
        assert [value for _, value in scores["top_categories"][row]] == pytest.approx(expected[order], abs=1e-6)
        best = expected[order[0]]
        assert scores["confidence"][row] == pytest.approx(best, abs=1e-6)
        assert scores["decision"][row] == ("auto" if best >= 0.9 else "review" if best >= 0.5 else "abstain")
        assert list(scores["embedding"][row]) == np.eye(256)[row].tolist()


def test_texts_are_trimmed_to_the_longest_of_each_call_and_calls_are_full() -> None:
    calls = []

    def watched(pixels: Any, present: Any, token_ids: Any) -> Prediction:
        calls.append((len(pixels), float(present[0, 0]), token_ids.shape[1], bool((token_ids[:, -1] != 0).any())))
        assert pixels.flags.c_contiguous and token_ids.flags.c_contiguous
        return _predict(pixels, present, token_ids)

    titles = ["hat", "red hat " * 30, "hat", "hat", "hat", "hat", "old shoe", "hat", ""]
    photos = [_photo(), _photo(), None, b"junk", _photo(), _photo(), _photo(), None, _photo()]
    Scorer(_bundle(), SETTINGS, watched).score(titles, [None] * 9, photos)
    assert [call[:2] for call in calls] == [(4, 1.0), (2, 1.0), (3, 0.0)]
    assert all(longest_is_full for *_, longest_is_full in calls)
    assert calls[0][2] > 30 > calls[1][2]


@pytest.mark.parametrize("threads", [1, 5])
def test_reading_ahead_changes_no_score_and_leaves_no_thread(tmp_path: Path, threads: int) -> None:
    for level in range(9):
        (tmp_path / f"{level}.png").write_bytes(_photo(20 * level) if level != 4 else b"<html></html>")
    uris = [f"{tmp_path}/{level}.png" if level != 6 else None for level in range(10)]
    changed = replace(SETTINGS, photo="uri", image_roots=(str(tmp_path),))
    alone, ahead = (
        Scorer(_bundle(), changed, _predict, threads=count).score(["hat"] * 10, [None] * 10, uris)
        for count in (0, threads)
    )
    assert alone.map(lambda value: list(value) if isinstance(value, memoryview) else value).equals(
        ahead.map(lambda value: list(value) if isinstance(value, memoryview) else value)
    )
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def test_photos_of_the_next_batch_are_fetched_while_the_engine_works_on_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later, seen = threading.Event(), []

    def fetched(uri: str, *_: Any) -> Photo:
        if uri == "b":
            later.set()
        return Photo(_photo(), Status.OK, None)

    def predict(*arguments: Any) -> Prediction:
        seen.append(later.wait(5))
        return _predict(*arguments)

    monkeypatch.setattr(fetch, "read", fetched)
    distant = Scorer(_bundle(), replace(SETTINGS, photo="uri"), predict, threads=2)
    batches = (Batch(["hat"] * 4, [None] * 4, [uri] * 4) for uri in ("a", "b"))
    assert [list(scores["status"]) for scores in distant.scores(batches)] == [["ok"] * 4] * 2
    assert seen == [True, True]


def test_batches_of_any_sizes_give_the_scores_of_their_rows_alone() -> None:
    ready = Scorer(_bundle(), SETTINGS, _predict)
    batches = [Batch([f"hat {n}"] * n, [None] * n, [_photo(9 * n)] * n) for n in (3, 0, 1, 9)]
    found = [scores["image_sha256"].tolist() for scores in ready.scores(iter(batches))]
    assert found == [
        ready.score(each.titles, each.descriptions, each.photos)["image_sha256"].tolist() for each in batches
    ]
    assert [len(each) for each in found] == [3, 0, 1, 9]


def test_a_failing_engine_raises_and_leaves_no_thread(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_photo())

    def failing(pixels: Any, present: Any, token_ids: Any) -> Prediction:
        raise RuntimeError("the engine is gone")

    changed = replace(SETTINGS, photo="uri", image_roots=(str(tmp_path),))
    ready = Scorer(_bundle(), changed, failing, threads=3)
    with pytest.raises(RuntimeError, match="the engine is gone"):
        ready.score(["hat"] * 50, [None] * 50, [f"{tmp_path}/a.png"] * 50)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def test_a_photo_that_has_the_known_bytes_is_neither_decoded_nor_scored() -> None:
    data, decoded, asked = [_photo(), _photo(9), _photo(9)], [], []

    def decode_counted(*arguments: Any) -> decode.Decoded:
        decoded.append(arguments[0])
        return decode.decode(*arguments)

    def predict(pixels: Any, present: Any, token_ids: Any) -> Prediction:
        asked.extend(present[:, 0].tolist())
        return _predict(pixels, present, token_ids)

    known = [hashlib.sha256(data[0]).hexdigest(), "0" * 64, None]
    rows = Scorer(_bundle(), SETTINGS, predict, decode_counted).score(["hat"] * 3, [None] * 3, data, known)
    assert rows["unchanged"].tolist() == [True, False, False]
    assert decoded == data[1:] and asked == [1.0, 1.0]
    first = rows.iloc[0]
    assert (first["status"], first["model_category"], first["embedding"]) == ("ok", None, None)
    assert first["image_identity"] == first["image_sha256"] == known[0]


def test_slow_photos_are_fetched_while_the_engine_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_photo())
    read = scorer.fetch.read

    def slow(*arguments: Any) -> Any:
        time.sleep(0.03)
        return read(*arguments)

    monkeypatch.setattr(scorer.fetch, "read", slow)
    changed = replace(SETTINGS, photo="uri", image_roots=(str(tmp_path),))
    seconds = []
    for threads in (0, 8):
        start = time.monotonic()
        Scorer(_bundle(), changed, _predict, threads=threads).score(
            ["hat"] * 24, [None] * 24, [f"{tmp_path}/a.png"] * 24
        )
        seconds.append(time.monotonic() - start)
    assert seconds[1] < seconds[0] / 2


def test_no_more_photos_are_decoded_at_a_time_than_the_task_has_cores(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_photo())
    busy, most, lock = 0, 0, threading.Lock()

    def decode_counted(*arguments: Any) -> decode.Decoded:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.002)
        with lock:
            busy -= 1
        return decode.decode(*arguments)

    changed = replace(SETTINGS, photo="uri", image_roots=(str(tmp_path),))
    Scorer(_bundle(), changed, _predict, decode_counted, threads=8, decoders=2).score(
        ["hat"] * 40, [None] * 40, [f"{tmp_path}/a.png"] * 40
    )
    assert most == 2


def test_scores_pass_spark_s_conversion_to_arrow(spark: SparkSession) -> None:
    from pyspark.sql.pandas.functions import pandas_udf

    def score(ids: pd.Series) -> pd.DataFrame:
        return _scores([_photo(), None, None], ["hat", "shirt", None])

    scored = spark.range(3, numPartitions=1).select(pandas_udf(score, to_spark(SCORE))("id").alias("score"))
    found = scored.select("score.*").collect()
    assert [len(row["embedding"] or []) for row in found] == [256, 256, 0]
    assert [top["category"] for top in found[0]["top_categories"]] == ["Hats", "Shirts"]
    assert [value.asDict() for value in found[1]["attributes"]] == [
        {"name": "colour", "value": "Dark", "confidence": 0.5, "decision": "review"}
    ]
    assert (
        found[2]["top_categories"] is found[2]["attributes"] is found[2]["novelty"] is None
        and found[2]["confidence"] is None
    )
