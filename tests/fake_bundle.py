"""A bundle of meaningless bytes with a valid manifest: reading bundles needs no model."""

from __future__ import annotations

from fashion_udf.model.manifest import Manifest

FILES = {
    "tokenizer.json": b"{}",
    "weights.safetensors": bytes(range(256)) * 4,
    "golden.parquet": b"PAR1" * 50,
    "MODEL_CARD.md": b"# card\n",
    "openvino/model.xml": b"<net/>" * 20,
    "openvino/model.bin": bytes(1000),
}


def manifest(**changes: object) -> Manifest:
    facts: dict[str, object] = {
        "name": "test",
        "labels": ["Shirts", "Crème & Co."],
        "image": {"size": 64, "preprocessing_version": "1"},
        "text": {"max_tokens": 100, "vocabulary_size": 300},
        "engines": {"openvino": ["f32"], "tensorflow": ["f32"]},
        "temperature": {"both": 1.0, "image": 1.5, "text": 0.8},
        "thresholds": {name: {"auto": 0.9, "review": 0.5} for name in ("both", "image", "text")},
        "metrics": {"test": {"both": {"accuracy": 0.9, "rows": 7}}},
        "training_data": {"digest": "d", "counts": {"train": 8}},
        "library_versions": {"keras": "3"},
    }
    return Manifest.model_validate({**facts, **changes})
