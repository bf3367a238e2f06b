"""Kinds of unknown products that no training sees: a model is judged on kinds that are unknown to it.

Training shows a model some products of other kinds than its categories, so that it learns to tell these apart. How well
it does so can be judged on kinds alone that were not among them.
"""

from __future__ import annotations

import hashlib

SHARE = 0.5  # of the kinds


def is_held_out(kind: str, share: float = SHARE) -> bool:
    """Tell whether a kind of products is for judging alone: the same for a name each time, whatever its case.

    Args:
        kind: a name, such as a category's.
        share: of all kinds, about; a kind that is held out for a small share is held out for a larger one too.
    """
    digest = hashlib.sha256(" ".join(kind.casefold().split()).encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
