"""Settings that cannot be meant are refused by name, and every other one counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fashion_udf import config
from fashion_udf.errors import ConfigError
from fashion_udf.similar.settings import RecommendConfig
from tests.submit import REPOSITORY


def read(**values: Any) -> RecommendConfig:
    return config.validate(RecommendConfig, {"output": {"path": "out"}, **values}, "a test")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"k": 0}, "k: Input should be greater than or equal to 1"),
        ({"scope": "all"}, "scope: Input should be 'category', 'compatible', 'anywhere' or 'complement'"),
        ({"filters": [{"column": "a"}]}, "expected exactly one of equals, same: true and ratio"),
        ({"filters": [{"column": "a", "ratio": [2, 1]}]}, r"expected a ratio such as \[0.5, 2\]"),
        ({"at_most": {"brand": 0}}, "at_most: expected 1 or more of a column. Received: less for brand"),
        ({"neighbours": 5}, "neighbours: unknown key"),
    ],
)
def test_what_cannot_be_meant_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(**values)


def test_the_file_in_conf_names_every_key_at_its_default() -> None:
    found = config.load(RecommendConfig, REPOSITORY / "conf" / "similar.yaml", {"output.path": "out"})
    assert found == read()
    text = Path(REPOSITORY / "conf" / "similar.yaml").read_text()
    assert [name for name in RecommendConfig.model_fields if f"\n{name}:" not in text] == []


def test_lists_made_with_other_settings_have_another_digest() -> None:
    digests = {
        read(**values).digest(related)
        for values, related in (
            ({}, {}),
            ({"k": 11}, {}),
            ({"minimum_score": 0.1}, {}),
            ({"at_most": {"brand": 1}}, {}),
            ({"filters": [{"column": "a", "equals": 1}]}, {}),
            ({}, {"a": ["b"]}),
        )
    }
    assert len(digests) == 6
    assert read(columns={"path": "x"}).digest({}) == read().digest({})


def test_complements_share_gender_and_season() -> None:
    assert read(scope="complement").further_columns == ("gender", "season")
