"""The split of release 0.1: figures of releases are comparable only where every product is in the same part."""

from __future__ import annotations

import json

import pandas as pd

from tests.submit import REPOSITORY
from training.data import split

ROWS = json.loads((REPOSITORY / "tests" / "release_0_1" / "values.json").read_text(encoding="utf-8"))["splits"]


def test_every_product_is_in_the_part_where_the_old_release_put_it() -> None:
    names = ["product_id", "title", "image_sha256", "category", "split"]
    products = pd.DataFrame(ROWS, columns=names, dtype=object)
    assert {*products["split"]} == {*split.SPLITS}
    assert split.assign(products).tolist() == products["split"].tolist()
