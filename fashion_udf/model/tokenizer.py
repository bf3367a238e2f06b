"""Convert title and description to token ids, with one tokenizer for training and scoring.

`product_text` joins the texts of a row, and `encode` converts a batch of texts to padded ids. The tokenizer is
byte-pair encoding on words. Text is NFKC-normalised and lower-cased, and split at spaces, punctuation and single
digits. Every piece starts with a word mark, so that "shirt" is the same token in "T-Shirt" and in "shirt". Id 0 is
padding (masked in the model), id 1 is any character that the tokenizer was not trained on.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fashion_udf.errors import BundleError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: Maximum of tokens in a row; later tokens are dropped.
MAX_TOKENS = 100
#: Maximum of characters that are read of a text. It limits the time of a row; 100 tokens are seldom more than 600.
MAX_CHARACTERS = 2_000
#: Maximum of rows of the model's embedding.
MAX_VOCABULARY = 8_000

#: Ids of the special tokens in every tokenizer.
PADDING_ID, UNKNOWN_ID = 0, 1

_PADDING, _UNKNOWN = "[PAD]", "[UNK]"
#: Maximum of letters in the vocabulary: scripts with thousands of characters must not fill it.
_ALPHABET = 500


def product_text(title: str | None, description: str | None) -> str:
    """Join title and description by a newline. Missing or blank parts are left out; "" is a row without text.

    Control characters become spaces. Invisible format characters and lone surrogates are dropped. The result has at
    most `MAX_CHARACTERS` characters and starts with the title.
    """
    parts = [_clean(_text_of_html(part[:MAX_CHARACTERS])).strip() for part in (title, description) if part]
    return "\n".join(part for part in parts if part)[:MAX_CHARACTERS]


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.int32]:
    """Return `int32[n, t]` token ids, padded with 0 after the last token; t is the longest row, 1 to `MAX_TOKENS`.

    A text without a token is a row of zeros.
    """
    # Not `encode_batch`: it starts a thread pool, which breaks in a worker that is forked later. Without the pool it is
    # no faster.
    rows = [tokenizer.encode(_clean(text[:MAX_CHARACTERS])).ids[:MAX_TOKENS] for text in texts]
    ids = np.zeros((len(rows), max((len(row) for row in rows), default=0) or 1), dtype=np.int32)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
    return ids


def tokens_with_letters(tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """Return, by token id, whether a token has a letter. [PAD] and [UNK] have none."""
    letters = np.zeros(tokenizer.get_vocab_size(), bool)
    for token, number in tokenizer.get_vocab().items():
        letters[number] = any(letter.isalpha() for letter in token)
    letters[[PADDING_ID, UNKNOWN_ID]] = False
    return letters


def is_unreadable(token_ids: NDArray[np.int32], letters: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return, by row, whether more than half of its tokens are [UNK], as for a script that training never saw.

    Only [UNK] and tokens with a letter count. A word of an unknown script is two tokens, a word mark and [UNK]; word
    marks would hide the share of [UNK]. Digits and punctuation are the same in every script.

    Args:
        token_ids: int32[n, t], the result of `encode`.
        letters: bool[v], the result of `tokens_with_letters`.
    """
    unknown = (token_ids == UNKNOWN_ID).sum(axis=1)
    return np.asarray(unknown > letters[token_ids].sum(axis=1), bool)


def tokenizer_from_bytes(data: bytes) -> Tokenizer:
    """Read a `tokenizer.json`.

    Raises:
        BundleError: the content is no tokenizer with [PAD] = 0, [UNK] = 1 and ids 0 to n - 1, n <= `MAX_VOCABULARY`.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(data.decode("utf-8"))
    except Exception as error:  # the library raises plain Exception
        reason = " ".join(str(error).split())[:200]
        raise BundleError(
            f"Expected tokenizer.json to be a tokenizer of the tokenizers library. Received: {reason}"
        ) from error
    ids = sorted(tokenizer.get_vocab().values())
    specials = (tokenizer.token_to_id(_PADDING), tokenizer.token_to_id(_UNKNOWN))
    if specials != (PADDING_ID, UNKNOWN_ID) or ids != list(range(len(ids))) or len(ids) > MAX_VOCABULARY:
        raise BundleError(
            f"Expected tokenizer.json with [PAD] = 0, [UNK] = 1 and ids 0 to n - 1, n <= {MAX_VOCABULARY}. "
            f"Received: [PAD] = {specials[0]}, [UNK] = {specials[1]}, {len(ids)} ids up to {ids[-1] if ids else None}"
        )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    # A title with the letters "[PAD]" must be read as text.
    tokenizer.encode_special_tokens = True
    return tokenizer


def train_tokenizer(texts: Iterable[str], vocabulary_size: int = 4096) -> bytes:
    """Train a tokenizer and return its `tokenizer.json`. The same texts give the same bytes in any order.

    Raises:
        ValueError: `vocabulary_size` is not from 3 to `MAX_VOCABULARY`.
    """
    if not 3 <= vocabulary_size <= MAX_VOCABULARY:
        raise ValueError(f"Expected a vocabulary size of 3 to {MAX_VOCABULARY}. Received: {vocabulary_size}")
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=_UNKNOWN, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Metaspace(prepend_scheme="always"),
        ]
    )
    cleaned = [_clean(text[:MAX_CHARACTERS]) for text in texts]
    letters = min(_ALPHABET, vocabulary_size - 2)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=2,
        special_tokens=[_PADDING, _UNKNOWN],
        limit_alphabet=letters,
        initial_alphabet=_most_frequent(tokenizer, cleaned, letters),
        show_progress=False,
    )
    tokenizer.train_from_iterator(cleaned, trainer)
    data: str = tokenizer.to_str()
    return data.encode("utf-8")


def _most_frequent(tokenizer: Tokenizer, texts: Iterable[str], letters: int) -> list[str]:
    """Return the most frequent letters. The trainer would choose by chance among equally frequent ones."""
    counts: Counter[str] = Counter()
    for text in texts:
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text)):
            counts.update(word)
    return sorted(counts, key=lambda letter: (-counts[letter], letter))[:letters]


def _text_of_html(text: str) -> str:
    """Remove HTML tags and comments, and decode entities."""
    if "<" in text:
        text = _TAG.sub(" ", text)
    return html.unescape(text) if "&" in text else text


#: A tag starts with a letter, unlike the text "size < 40 > 36". A truncated text may end within a tag.
_TAG = re.compile(r"<!--.*?(?:-->|$)|</?[A-Za-z][^<>]*(?:>|$)", re.DOTALL)


def _clean(text: str) -> str:
    """Replace or drop control and format characters, and lone surrogates, which the tokenizer refuses."""
    text = text.replace("\n", " ")  # a fast path: `product_text` puts a newline into most texts
    if text.isprintable():
        return text
    return "".join(_CLEANED.get(unicodedata.category(letter), letter) for letter in text)


#: Replacement by Unicode category. Control characters separate words. Format characters (joiners, direction marks) and
#: surrogates do not.
_CLEANED = {"Cc": " ", "Zl": " ", "Zp": " ", "Cf": "", "Cs": ""}
