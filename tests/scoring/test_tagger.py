"""Tags without Spark: a product or a data frame, whatever pandas calls missing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fashion_udf.errors import ConfigError
from fashion_udf.schema import TAG
from fashion_udf.scoring.tagger import Tagger, values
from tests import small_bundle
from tests.servers.s3 import S3Server


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger(small_bundle.read(), threads=1)


def _photo() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (50, 50), "red").save(file, "PNG")
    return file.getvalue()


def test_a_product_is_a_dict_of_the_documented_columns(tagger: Tagger) -> None:
    tag = tagger.tag(title="Red shirt", image=_photo())
    assert [*tag] == TAG.names
    assert (tag["status"], tag["modality"], tag["error"]) == ("ok", "both", None)
    assert tag["embedding"].shape == (256,) and np.linalg.norm(tag["embedding"]) == pytest.approx(1, abs=1e-5)
    assert tag["top_categories"][0] == {"category": tag["category"], "confidence": pytest.approx(tag["confidence"])}
    assert len(tag["top_categories"]) == 3
    assert [each["name"] for each in tag["attributes"]] == ["gender", "base_colour"]
    assert {*tag["attributes"][0]} == {"name", "value", "confidence", "decision"}
    assert tag["parent_category"] in ("Upper garments", "Shoes") and 0 <= tag["novelty"] <= 1


def test_a_frame_keeps_its_index_and_needs_no_column(tagger: Tagger) -> None:
    frame = pd.DataFrame({"title": ["Red shirt", "Blue jeans"], "price": [1, 2]}, index=["x", "y"])
    tagged = tagger.tag(frame)
    assert tagged.index.tolist() == ["x", "y"] and tagged.columns.tolist() == TAG.names
    assert tagged["status"].tolist() == ["image_none", "image_none"]
    assert tagger.tag(pd.DataFrame({"price": [1]}))["modality"].tolist() == ["none"]
    assert tagger.tag(frame.iloc[:0]).columns.tolist() == TAG.names


def test_a_bad_photo_is_a_status(tagger: Tagger) -> None:
    tag = tagger.tag(image=b"no photo")
    assert (tag["status"], tag["category"], tag["decision"]) == ("image_unsupported", None, "abstain")


def test_a_photo_may_be_named_by_a_uri(s3_server: S3Server, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_photo())
    s3_server.put("tagger/a.png", _photo())
    settings = {"endpoint_url": s3_server.settings.endpoint_url, "path_style": True}
    tagger = Tagger(
        small_bundle.read(), threads=1, image_roots=[str(tmp_path)], image_hosts=["localhost:1"], s3=settings
    )
    uris = ["s3://photos/tagger/a.png", "a.png", _photo(), "http://localhost:1/a.png", "http://cdn.example/a.png"]
    tagged = tagger.tag(pd.DataFrame({"title": "Red shirt", "image": pd.Series(uris, dtype=object)}))
    assert tagged["status"].tolist() == ["ok"] * 3 + ["image_forbidden"] * 2
    assert tagged["error"].tolist()[3:] == [
        "the host has a private address alone (input.private_image_hosts)",
        "host 'cdn.example' is not in input.image_hosts",
    ]
    assert tagged["image_sha256"].nunique() == 1  # of the three
    assert tagger.tag(title="Red shirt", image="s3://photos/tagger/a.png")["status"] == "ok"


@pytest.mark.parametrize(
    ("named", "message"),
    [({"image_hosts": ["https://cdn.example"]}, "names of hosts"), ({"s3": {"access_key": "x"}}, "unknown key")],
)
def test_a_place_that_is_none_is_refused(named: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Tagger(small_bundle.read(), threads=1, **named)


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
def test_whatever_pandas_calls_missing_is_none(missing: object) -> None:
    assert values(pd.Series([missing, "a"], dtype=object)) == [None, "a"]
    assert values(pd.Series(["a", missing], dtype="string")) == ["a", None]


def test_an_unknown_engine_or_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match="Expected engine.name to be one of"):
        Tagger(small_bundle.read(), engine="torch")
    with pytest.raises(ConfigError, match="Expected a precision that model .* offers for openvino"):
        Tagger(small_bundle.read(), precision="f8")
