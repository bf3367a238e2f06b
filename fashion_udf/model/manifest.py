"""What a model bundle says of itself: `manifest.json`, its fields and its one exact form.

The manifest holds every figure that a release is judged by, and the digests of the files. So the digest of the manifest
names the release.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    model_serializer,
    model_validator,
)

from fashion_udf.config import Section
from fashion_udf.errors import BundleError
from fashion_udf.schema import EMBEDDING_SIZE, Modality

ADVICE = "Copy or export the bundle again"
TOTAL_LIMIT = 200_000_000  # bytes in all files; the bundle is held in memory and broadcast

#: Every name a bundle may hold. Lower case and fixed depth: no path can leave the directory and no two names collide on
#: a file system that ignores case.
_NAME = r"tokenizer\.json|weights\.safetensors|golden\.parquet|MODEL_CARD\.md|openvino/[a-z0-9_]{1,40}\.(xml|bin)"
_ALWAYS = {"tokenizer.json", "weights.safetensors", "golden.parquet", "MODEL_CARD.md"}
_MODALITIES = {Modality.BOTH.value, Modality.IMAGE.value, Modality.TEXT.value}

#: The OpenVINO IR of each precision, without .xml or .bin: bf16 is a way to run the float one.
OPENVINO_IR = {"f32": "openvino/model", "bf16": "openvino/model", "int8": "openvino/model_int8"}

#: Fields that are left out of the canonical form where they are empty.
_SINCE_INT8 = ("labelled", "not_measured")

Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}$")]


class _Part(Section):
    # Strict: "1" is no number. NaN and infinity are not JSON.
    # "constants" keeps NaN until `canonical` refuses it: by default it would silently become null.
    model_config = ConfigDict(strict=True, allow_inf_nan=False, ser_json_inf_nan="constants")

    @model_serializer(mode="wrap")
    def _without_absent_facts(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Bundles were released before these fields existed: their bytes, and so their version, must not change.
        return {key: value for key, value in handler(self).items() if value or key not in _SINCE_INT8}


class FileFacts(_Part):
    """Digest and size in bytes of one file."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0, le=TOTAL_LIMIT)


class ImageFacts(_Part):
    """How photos become pixels: square side in pixels, and the version of the decoder's rules."""

    size: int = Field(ge=32, le=1024)
    preprocessing_version: str = Field(min_length=1)


class TextFacts(_Part):
    """How texts become token ids."""

    max_tokens: int = Field(ge=1, le=1000)
    vocabulary_size: int = Field(ge=2, le=65_536)


class Thresholds(_Part):
    """Calibrated confidence from which a row is `auto` or `review`; above 1 means never."""

    auto: float = Field(ge=0)
    review: float = Field(ge=0)


class Agreement(_Part):
    """How one precision compared with f32 of the same engine on labelled rows: numbers of rows."""

    rows: int
    same_top1: int
    correct: int
    f32_correct: int


class Parity(_Part):
    """How one engine and precision compared at export: with the Keras model on the golden rows, and with f32."""

    rows: int
    same_top1: int
    largest_difference: float | None  # of calibrated probabilities and embedding components; null: one was NaN
    labelled: dict[str, Agreement] = {}  # by modality; empty for f32, which is not compared with itself


class TrainingData(_Part):
    """Which labelled products the model was trained and measured on."""

    digest: str
    counts: dict[str, int]


class Manifest(_Part):
    """Everything known about a model. Holds no wall clock time, so that an export can be repeated byte for byte."""

    format: Literal[1] = 1
    name: str = Field(min_length=1, max_length=200)
    labels: list[str] = Field(min_length=2)
    image: ImageFacts
    text: TextFacts
    embedding_size: int = Field(EMBEDDING_SIZE, ge=EMBEDDING_SIZE, le=EMBEDDING_SIZE)
    engines: dict[Word, list[Word]]
    temperature: dict[str, Annotated[float, Field(gt=0)]]
    thresholds: dict[str, Thresholds]
    metrics: dict[str, JsonValue] = {}
    parity: dict[str, Parity] = {}
    not_measured: dict[str, str] = {}  # engine and precision, as in `parity` -> why
    training_data: TrainingData
    recipe: dict[str, JsonValue] = {}
    library_versions: dict[str, str]
    files: dict[Annotated[str, StringConstraints(pattern=rf"^({_NAME})$")], FileFacts] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels repeat")
        for name, by_modality in (("temperature", self.temperature), ("thresholds", self.thresholds)):
            if by_modality.keys() != _MODALITIES:
                raise ValueError(f"{name} must have the keys {sorted(_MODALITIES)}")
        if sum(facts.size for facts in self.files.values()) > TOTAL_LIMIT:
            raise ValueError(f"files are larger than {TOTAL_LIMIT} bytes in all")
        return self

    def required_files(self) -> set[str]:
        """Return the names of the files that this model needs."""
        graphs = {OPENVINO_IR[precision] for precision in self.engines.get("openvino", []) if precision in OPENVINO_IR}
        return _ALWAYS.union(*({f"{graph}.xml", f"{graph}.bin"} for graph in graphs))


def validated(manifest: Manifest, files: Mapping[str, bytes]) -> Manifest:
    """Return `manifest` with the digests of `files` filled in.

    Raises:
        BundleError: a file name is not one a bundle may hold, or a value is out of range.
    """
    facts = {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in files.items()}
    try:
        return Manifest.model_validate({**manifest.model_dump(), "files": facts})
    except ValidationError as error:
        raise BundleError(f"Expected a valid manifest. Received: {_problems(error)}") from error


def parse(content: bytes, folder: str) -> Manifest:
    """Read the bytes of the `manifest.json` of `folder`, in the exact form that `canonical` writes.

    Raises:
        BundleError: it is not JSON, lacks a field, has an unknown or a repeated one, or a value is out of range.
    """
    try:
        manifest = Manifest.model_validate_json(content)
        expected = canonical(manifest)
    except ValueError as error:  # pydantic's ValidationError is one
        problems = _problems(error) if isinstance(error, ValidationError) else str(error)
        raise BundleError(f"Expected a valid manifest.json in {folder}. Received: {problems}. {ADVICE}") from error
    if content != expected:
        # Catches a repeated key too: parsers silently keep one value of it.
        raise BundleError(
            f"Expected manifest.json in {folder} exactly as the export wrote it. "
            f"Received: a repeated key, other spacing, order or number forms. {ADVICE}"
        )
    return manifest


def canonical(manifest: Manifest) -> bytes:
    """Return the one form of a manifest that is written, accepted and hashed."""
    tree = manifest.model_dump(mode="json")
    return (json.dumps(tree, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'manifest'}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False)[:5]
    )
