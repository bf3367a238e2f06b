"""Titles and descriptions of any kind become the same token ids every time, and a damaged tokenizer is refused."""

from __future__ import annotations

import json
import random
import sys
import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from fashion_udf.errors import BundleError
from fashion_udf.model.tokenizer import (
    MAX_CHARACTERS,
    MAX_TOKENS,
    MAX_VOCABULARY,
    encode,
    is_unreadable,
    product_text,
    tokenizer_from_bytes,
    tokens_with_letters,
    train_tokenizer,
)

WORDS = ["red hat", "blue T-Shirt", "old shoes, size 42", "Grünes Kleid", "красное платье", "赤い帽子", "pad unk"]
TRAINED = train_tokenizer(WORDS * 5, 200)
TOKENIZER = tokenizer_from_bytes(TRAINED)

STRANGE = {
    "nul": "red\0hat",
    "lone surrogate": "red \ud800hat\udfff",
    "emoji": "👩🏽‍🦰👗🇩🇪",
    "right to left": "\u202eقبعة حمراء\u202c שמלה",
    "controls": "".join(map(chr, range(32))) + "\x7f\x85\u2028\u2029",
    "combining": "a" + "\u0301" * 3000,
    "ligature": "\ufdfa" * 3000,  # NFKC makes 18 characters of each
    "megabyte": "red hat " * 125_000,
    "one word": "x" * 1_000_000,
    "spaces": " \t\u00a0\u3000" * 500,
    "last character": chr(sys.maxunicode),
}
ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates too


def _ids(text: str) -> list[int]:
    return [int(number) for number in encode(TOKENIZER, [text])[0]]


def _tokens(text: str) -> list[str]:
    return [TOKENIZER.id_to_token(number) for number in _ids(text)]


@pytest.mark.parametrize(
    ("title", "description", "text"),
    [
        ("Hat", "Red.", "Hat\nRed."),
        ("Hat", None, "Hat"),
        (None, "Red.", "Red."),
        (" Hat ", "\t\n", "Hat"),
        ("", None, ""),
        (None, None, ""),
        ("\0\x07", "\u200b", ""),
        ("Red\0Hat\r\nNew", "a\u200db\ud800", "Red Hat  New\nab"),
        ("x" * 1990, "y" * 5000, "x" * 1990 + "\n" + "y" * 9),
        ("x" * 5000, "y", "x" * MAX_CHARACTERS),
    ],
)
def test_a_text_is_the_title_and_then_the_description(title: Any, description: Any, text: str) -> None:
    assert product_text(title, description) == text


@settings(max_examples=200, deadline=None)
@given(st.none() | ANY_TEXT, st.none() | ANY_TEXT)
def test_any_two_texts_join_to_a_clean_one(title: str | None, description: str | None) -> None:
    text = product_text(title, description)
    assert len(text.encode()) <= 4 * MAX_CHARACTERS and text == text.strip()
    assert all(letter.isprintable() or letter == "\n" or unicodedata.category(letter)[0] in "ZC" for letter in text)
    assert not set(text) & {"\0", "\r", "\t", "\u200b", "\u2028"} and text.count("\n") <= 1


def test_ids_are_padded_with_0_behind_the_last_token() -> None:
    ids = encode(TOKENIZER, ["red hat", "", "red hat red hat"])
    assert ids.dtype == np.int32 and ids.shape == (3, len(_ids("red hat red hat")))
    short = len(_ids("red hat"))
    assert ids[0, :short].tolist() == _ids("red hat") and (ids[0, :short] > 1).all()
    assert (ids[0, short:] == 0).all() and (ids[1] == 0).all() and (ids[2] > 1).all()


@pytest.mark.parametrize(("texts", "shape"), [([], (0, 1)), ([""], (1, 1)), (["", " "], (2, 1))])
def test_a_batch_without_a_token_is_one_column_of_zeros(texts: list[str], shape: tuple[int, int]) -> None:
    ids = encode(TOKENIZER, texts)
    assert ids.shape == shape and not ids.any()


def test_the_neighbours_of_a_text_change_nothing_but_its_padding() -> None:
    together = encode(TOKENIZER, [*WORDS, *STRANGE.values()])
    for row, text in zip(together, [*WORDS, *STRANGE.values()], strict=True):
        alone = encode(TOKENIZER, [text])[0]
        assert (row[: len(alone)] == alone).all() and not row[len(alone) :].any()


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_text_has_the_same_few_ids_every_time(name: str) -> None:
    first = encode(TOKENIZER, [STRANGE[name]])
    again = encode(tokenizer_from_bytes(TRAINED), [STRANGE[name]])
    assert (first == again).all() and 1 <= first.shape[1] <= MAX_TOKENS
    assert _ids(product_text(STRANGE[name], None)) == first[0].tolist()


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT)
def test_any_text_gives_ids_of_the_vocabulary(text: str) -> None:
    ids = encode(TOKENIZER, [text, text])
    assert ids.dtype == np.int32 and ids.shape[1] <= MAX_TOKENS
    assert ids.min() >= 0 and ids.max() < TOKENIZER.get_vocab_size()
    assert (ids[0] == ids[1]).all()
    assert (ids[0][: np.count_nonzero(ids[0])] > 0).all(), "zeros are at the end only"


def test_a_long_text_keeps_its_first_100_tokens() -> None:
    ids = _ids("red hat " * 500)
    assert len(ids) == MAX_TOKENS == 100
    assert ids == (_ids("red hat") * 100)[:100]


def test_nothing_behind_2000_characters_is_looked_at() -> None:
    assert _ids(" " * 1999 + "red") == _ids(" " * 1999 + "r")
    assert _ids(" " * 2000 + "red") == [0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("RED HAT", "red hat"),
        ("T-Shirt", "T - shirt"),
        ("Gru\u0308nes Kleid", "Gr\u00fcnes Kleid"),
        ("\uff52\uff45\uff44 hat", "red hat"),  # full width
        ("red\nhat", "red   hat"),
        ("red\0hat", "red hat"),
        ("re\u00add hat\u200d", "red hat"),
    ],
)
def test_spellings_that_look_alike_have_the_same_ids(one: str, other: str) -> None:
    assert _ids(one) == _ids(other)


def test_the_same_word_is_the_same_token_wherever_it_stands() -> None:
    assert _tokens("shirt") == ["▁shirt"] and "▁shirt" in _tokens("T-Shirt")
    assert [token for token in _tokens("size 42") if token.strip("▁").isdigit()] == ["▁4", "▁2"]


@pytest.mark.parametrize("title", ["[PAD]", "[UNK]", "red [PAD] hat", "[pad][unk]"])
def test_the_name_of_a_special_token_in_a_title_is_text(title: str) -> None:
    ids = _ids(title)
    assert 0 not in ids and len(ids) > 1 and ids == _ids(title.lower())


def test_an_unseen_character_is_unknown() -> None:
    assert 1 in _ids("\u16a0") and 0 not in _ids("\u16a0")


@pytest.mark.parametrize(
    ("text", "unreadable"),
    [
        ("قميص أزرق", True),
        ("μπλε πουκάμισο", True),
        ("RED قميص أزرق 42, 42", True),
        ("red hat قميص", False),
        ("red hat", False),
        ("красное платье", False),
        ("42, 42", False),
        ("", False),
    ],
)
def test_a_text_of_unknown_letters_is_unreadable_whatever_digits_and_punctuation_it_has(
    text: str, unreadable: bool
) -> None:
    letters = tokens_with_letters(TOKENIZER)
    assert is_unreadable(encode(TOKENIZER, [text]), letters).tolist() == [unreadable]
    batch = is_unreadable(encode(TOKENIZER, ["red hat " * 30, text]), letters)
    assert batch.tolist() == [False, unreadable], "padding is no token"


def _changed(**changes: Any) -> bytes:
    tokenizer = json.loads(TRAINED)
    tokenizer["model"].update(changes.pop("model", {}))
    return json.dumps({**tokenizer, **changes}).encode()


VOCABULARY = json.loads(TRAINED)["model"]["vocab"]
SPECIALS = json.loads(TRAINED)["added_tokens"]
SWAPPED = [{**SPECIALS[0], "id": 1}, {**SPECIALS[1], "id": 0}]


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\xff\xfe", b"[" * 100_000, TRAINED[:-1], TRAINED + b"x", _changed(model={"type": "Pickle"})]
)
def test_what_is_no_tokenizer_is_refused(data: bytes) -> None:
    message = r"^Expected tokenizer\.json to be a tokenizer of the tokenizers library\. Received: \S.{0,200}$"
    with pytest.raises(BundleError, match=message):
        tokenizer_from_bytes(data)


@pytest.mark.parametrize(
    ("data", "received"),
    [
        (_changed(added_tokens=[], model={"vocab": {"a": 0}, "merges": []}), r"\[PAD\] = None, \[UNK\] = None, 1 ids"),
        (_changed(added_tokens=[], model={"vocab": {}, "merges": []}), "0 ids up to None"),
        (
            _changed(added_tokens=SWAPPED, model={"vocab": {**VOCABULARY, "[PAD]": 1, "[UNK]": 0}}),
            r"\[PAD\] = 1, \[UNK\] = 0",
        ),
        (_changed(model={"vocab": {**VOCABULARY, "gap": 7777}}), r"ids up to 7777$"),
        (
            _changed(model={"vocab": {**VOCABULARY, **{f"w{n}": n for n in range(len(VOCABULARY), 8001)}}}),
            "8001 ids up to 8000$",
        ),
    ],
    ids=["no specials", "empty", "swapped", "gap", "too many"],
)
def test_a_tokenizer_with_other_ids_is_refused(data: bytes, received: str) -> None:
    with pytest.raises(BundleError, match=rf"^Expected tokenizer\.json with \[PAD\] = 0.*n <= 8000\. Rec.*{received}"):
        tokenizer_from_bytes(data)


def test_padding_and_truncation_that_a_file_asks_for_are_not_done() -> None:
    tokenizer = Tokenizer.from_str(TRAINED.decode())
    tokenizer.enable_padding(length=50)
    tokenizer.enable_truncation(1)
    loaded = tokenizer_from_bytes(tokenizer.to_str().encode())
    assert (encode(loaded, ["red hat"]) == encode(TOKENIZER, ["red hat"])).all()


def test_the_same_texts_in_any_order_train_the_same_bytes() -> None:
    # 900 letters of the same frequency: 500 of them are kept.
    texts = [chr(0x4E00 + number) for number in range(900)] * 2 + WORDS
    for seed in range(4):
        shuffled = random.Random(seed).sample(texts, len(texts))
        assert train_tokenizer(shuffled, 1000) == train_tokenizer(iter(texts), 1000)


@pytest.mark.parametrize("size", [3, 50, MAX_VOCABULARY])
@pytest.mark.parametrize("texts", [[], [""], ["\ud800\0"], WORDS])
def test_a_trained_tokenizer_can_be_loaded_and_keeps_its_size(texts: list[str], size: int) -> None:
    loaded = tokenizer_from_bytes(train_tokenizer(texts, size))
    assert 2 <= loaded.get_vocab_size() <= size
    assert encode(loaded, ["red hat"]).shape[1] >= 1


@pytest.mark.parametrize("size", [-1, 0, 2, 8001])
def test_a_vocabulary_size_out_of_range_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=rf"^Expected a vocabulary size of 3 to 8000\. Received: {size}$"):
        train_tokenizer(WORDS, size)
