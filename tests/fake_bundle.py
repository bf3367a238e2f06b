"""A bundle of meaningless bytes with a valid manifest: reading bundles needs no model."""

from __future__ import annotations

from fashion_udf.model.manifest import Manifest

FILES = {
    "tokenizer.json": b"{}",
    "weights.safetensors": bytes(range(256)) * 4,
    "taxonomy.yaml": b"Upper garments: [Shirts]\n",
    "golden.parquet": b"PAR1" * 50,
    "MODEL_CARD.md": b"# card\n",
    "NOTICE": b"made up\n",
    "openvino/model.xml": b"<net/>" * 20,
    "openvino/model.bin": bytes(1000),
}


_LIMITS = {"auto": 0.9, "review": 0.5}


def calibration(temperature: float = 1.5) -> dict[str, object]:
    """What a manifest says of one precision; `temperature` is that of a category by the photo alone."""
    by_modality = {"both": 1.0, "image": temperature, "text": 0.8}
    return {
        name: {
            "category": {"temperature": value, **_LIMITS},
            "parent": {"temperature": 1.0, **_LIMITS},
            "attributes": {"colour": {"temperature": 1.0, **_LIMITS}},
            "novelty": 0.25,
        }
        for name, value in by_modality.items()
    }


def manifest(**changes: object) -> Manifest:
    facts: dict[str, object] = {
        "name": "test",
        "labels": ["Shirts", "Crème & Co."],
        "attributes": [{"name": "colour", "values": ["Red", "Navy Blue"]}],
        "image": {"size": 64, "preprocessing_version": "1"},
        "text": {"max_tokens": 100, "vocabulary_size": 300},
        "engines": {"openvino": ["f32"], "tensorflow": ["f32"]},
        "calibration": {"f32": calibration(), "int8": calibration(), "bf16": calibration()},
        "metrics": {"test": {"both": {"accuracy": 0.9, "rows": 7}}},
        "training_data": {"digest": "d", "counts": {"train": 8}},
        "library_versions": {"keras": "3"},
    }
    return Manifest.model_validate({**facts, **changes})
