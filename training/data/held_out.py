"""Kinds of unknown products that training never uses. Novelty is measured on these kinds.

Training uses some products without a known category, so that the model learns to detect such products. How well this
works can only be measured on kinds that training did not use.
"""

from __future__ import annotations

import hashlib

SHARE = 0.5  # of the kinds


def is_held_out(kind: str, share: float = SHARE) -> bool:
    """Return whether a kind of products is held out from training. The result depends only on the name, in any case.

    Args:
        kind: a name, such as that of a category.
        share: approximate share of all kinds. A kind that is held out for a small share is also held out for a larger
            one.
    """
    digest = hashlib.sha256(" ".join(kind.casefold().split()).encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
