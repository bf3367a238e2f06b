"""Descriptions like those of shops: none, a few sentences, or HTML."""

from __future__ import annotations

import html
import random

#: A sentence without a placeholder.
PLAIN = "Our workshop in the hills of Tarn finishes every one by hand."
#: No sentence names the kind of product, which is in the title or only in the photo.
SENTENCES = (
    "Made for {usage} days, in a {colour} that goes with nearly everything.",
    "{brand} brings a quiet favourite back for {season}.",
    "The {colour} tone keeps its depth wash after wash.",
    "A piece for {who} who like their things simple.",
    "We have had this one in the range since {year}.",
    PLAIN,
    "Light, hard-wearing and easy to look after.",
    "Wear it for {usage} occasions, or just because it is Tuesday.",
    "The details are small: a tidy seam, a good lining, a logo you have to look for.",
    "Between two sizes? Take the larger one.",
    "Wipe with a damp cloth and let it dry away from the sun.",
    "New in our {season} collection.",
    "Customers tell us that {colour} looks even better in daylight.",
    "Ships flat in a box of recycled card, with free returns for 30 days.",
    "Please note that screens show colours a little differently.",
    "Style no. {number}.",
    "Designed by {brand} and made to last more than one season.",
    "Comfortable from the first hour on.",
    "The {year} edition comes with a softer finish.",
    "Also available in other colours.",
)
_PAGES = (
    "<p>{0}</p>",
    '<div class="description"><p>{0}</p><ul><li>Colour: {1}</li><li>Item&nbsp;{2}</li></ul></div>',
    "<h2>Details &amp; care</h2>{0}<br/><b>Colour:</b> {1}",
    "<span style='font-size:12px'>{0}</span><br><br><em>{1}</em> &ndash; {2}",
)


def description(slots: dict[str, str], draws: random.Random) -> str | None:
    """Return a random description; None for a product with only a title.

    Args:
        slots: values of the placeholders `brand`, `colour`, `number`, `season`, `usage`, `who` and `year`.
        draws: source of all random choices.
    """
    way = draws.random()
    if way < 0.35:
        return None
    sentences = [sentence.format(**slots) for sentence in draws.sample(SENTENCES, draws.randint(1, 6))]
    if way < 0.8:
        return " ".join(sentences)
    words = html.escape(" ".join(sentences)), html.escape(slots["colour"]), slots["number"]
    return draws.choice(_PAGES).format(*words)
