"""The manifest of a model bundle, `manifest.json`: its fields and its only accepted form.

The manifest holds every figure that a release is judged by, and the digests of the files. So the digest of the manifest
identifies the release.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, ValidationError, field_validator, model_validator

from fashion_udf.config import Section
from fashion_udf.errors import BundleError
from fashion_udf.schema import EMBEDDING_SIZE, Modality

ADVICE = "Copy or export the bundle again"
TOTAL_LIMIT = 200_000_000  # bytes of all files: the bundle is held in memory and broadcast

FORMAT: Final = 2
#: The files that every bundle has.
ALWAYS = ("tokenizer.json", "weights.safetensors", "taxonomy.yaml", "golden.parquet", "MODEL_CARD.md", "NOTICE")
#: The file names that a bundle may hold. The depth is fixed, so that no path can leave the directory. Lower case avoids
#: collisions on file systems that ignore case.
_NAME = "|".join([*(re.escape(name) for name in ALWAYS), r"openvino/[a-z0-9_]{1,40}\.(xml|bin)"])
_MODALITIES = {Modality.BOTH.value, Modality.IMAGE.value, Modality.TEXT.value}

#: The precision for which every bundle has a calibration and golden rows.
REFERENCE = "f32"

#: The OpenVINO IR of each precision, without .xml or .bin. bf16 runs the f32 model.
OPENVINO_IR = {"f32": "openvino/model", "bf16": "openvino/model", "int8": "openvino/model_int8"}

Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}$")]


class _Part(Section):
    # Strict: "1" is no number. NaN and infinity are not JSON.
    # "constants" keeps NaN until `canonical` refuses it. By default NaN would silently become null.
    model_config = ConfigDict(strict=True, allow_inf_nan=False, ser_json_inf_nan="constants")


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


class Attribute(_Part):
    """A property of products that the model predicts, and its values in the order of their logits."""

    name: Word
    values: list[str] = Field(min_length=2)

    @field_validator("values")
    @classmethod
    def _each_once(cls, values: list[str]) -> list[str]:
        if len(set(values)) != len(values):
            raise ValueError("values repeat")
        return values


class Calibrated(_Part):
    """The temperature, and the minimum confidences of `auto` and `review`. A minimum above 1 is never reached."""

    temperature: float = Field(gt=0)
    auto: float = Field(ge=0)
    review: float = Field(ge=0)


class Calibration(_Part):
    """The calibration of one precision and one modality. `fashion_udf.model.interpretation` explains its use."""

    category: Calibrated
    parent: Calibrated
    attributes: dict[Word, Calibrated] = {}  # by the attribute's name
    novelty: float = Field(ge=0, le=1)  # a row with more novelty than this is never `auto`


class Agreement(_Part):
    """Comparison of one precision with f32 of the same engine on labelled rows: numbers of rows."""

    rows: int
    same_top1: int
    same_decision: int  # each precision uses its own calibration
    correct: int
    f32_correct: int


class Parity(_Part):
    """Comparison of one engine and precision at export: with the Keras model on the golden rows, and with f32."""

    rows: int
    same_top1: int
    largest_difference: float | None  # of calibrated probabilities and embedding components; null: one was NaN
    labelled: dict[str, Agreement] = {}  # by modality; empty for f32


class TrainingData(_Part):
    """The labelled products for training and measuring."""

    digest: str
    counts: dict[str, int]


class Manifest(_Part):
    """All facts about a model. It holds no time of day, so that a repeated export gives the same bytes."""

    format: Literal[2] = FORMAT
    name: str = Field(min_length=1, max_length=200)
    labels: list[str] = Field(min_length=2)  # the K categories, in the order of their logits
    attributes: list[Attribute] = []
    image: ImageFacts
    text: TextFacts
    embedding_size: int = Field(EMBEDDING_SIZE, ge=EMBEDDING_SIZE, le=EMBEDDING_SIZE)
    engines: dict[Word, list[Word]]
    calibration: dict[Word, dict[str, Calibration]]  # by precision, then by modality
    metrics: dict[str, JsonValue] = {}
    parity: dict[str, Parity] = {}
    not_measured: dict[str, str] = {}  # engine and precision, as in `parity` -> why
    training_data: TrainingData
    recipe: dict[str, JsonValue] = {}
    library_versions: dict[str, str]
    files: dict[Annotated[str, StringConstraints(pattern=rf"^({_NAME})$")], FileFacts] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        names = [attribute.name for attribute in self.attributes]
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels repeat")
        if len(set(names)) != len(names):
            raise ValueError("names of attributes repeat")
        offered = {REFERENCE}.union(*self.engines.values())
        if missing := sorted(offered - self.calibration.keys()):
            raise ValueError(f"calibration must have every precision that an engine offers, and lacks {missing}")
        for precision, by_modality in self.calibration.items():
            if by_modality.keys() != _MODALITIES:
                raise ValueError(f"calibration.{precision} must have the keys {sorted(_MODALITIES)}")
            for modality, facts in by_modality.items():
                if facts.attributes.keys() != set(names):
                    raise ValueError(f"calibration.{precision}.{modality}.attributes must have the keys {names}")
        if sum(facts.size for facts in self.files.values()) > TOTAL_LIMIT:
            raise ValueError(f"files are larger than {TOTAL_LIMIT} bytes in all")
        return self

    @property
    def attribute_values(self) -> int:
        """Number of values of all attributes: V, the width of the model's output `attributes`."""
        return sum(len(attribute.values) for attribute in self.attributes)

    @property
    def knows_photos(self) -> bool:
        """Whether the model was measured on photos; it was not where no row of its training set had one."""
        facts = self.metrics.get(REFERENCE)
        forms = facts.get("forms") if isinstance(facts, dict) else None
        return not isinstance(forms, dict) or bool({Modality.BOTH.value, Modality.IMAGE.value} & forms.keys())

    def required_files(self) -> set[str]:
        """Return the names of the files that this model needs."""
        graphs = {OPENVINO_IR[precision] for precision in self.engines.get("openvino", []) if precision in OPENVINO_IR}
        return set(ALWAYS).union(*({f"{graph}.xml", f"{graph}.bin"} for graph in graphs))


def validated(manifest: Manifest, files: Mapping[str, bytes]) -> Manifest:
    """Return `manifest` with the digests of `files` filled in.

    Raises:
        BundleError: a bundle may not hold a file of this name, or a value is out of range.
    """
    facts = {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in files.items()}
    try:
        return Manifest.model_validate({**manifest.model_dump(), "files": facts})
    except ValidationError as error:
        raise BundleError(f"Expected a valid manifest. Received: {_problems(error)}") from error


def parse(content: bytes, folder: str) -> Manifest:
    """Parse the `manifest.json` of `folder`, in the exact form that `canonical` writes.

    Raises:
        BundleError: the content is not JSON or has another format; a field is missing, unknown or repeated; or a value
            is out of range.
    """
    try:
        manifest = Manifest.model_validate_json(content)
        expected = canonical(manifest)
    except ValueError as error:  # the base class of pydantic's ValidationError
        if isinstance(error, ValidationError):
            _require_format(error, folder)
        problems = _problems(error) if isinstance(error, ValidationError) else str(error)
        raise BundleError(f"Expected a valid manifest.json in {folder}. Received: {problems}. {ADVICE}") from error
    if content != expected:
        # This also refuses a repeated key, of which parsers silently keep one value.
        raise BundleError(
            f"Expected manifest.json in {folder} exactly as the export wrote it. "
            f"Received: a repeated key, other spacing, order or number forms. {ADVICE}"
        )
    return manifest


def canonical(manifest: Manifest) -> bytes:
    """Return the only form of a manifest that is written, accepted and hashed."""
    tree = manifest.model_dump(mode="json")
    return (json.dumps(tree, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _require_format(error: ValidationError, folder: str) -> None:
    """Raise one clear error for a bundle of another format: nearly all of its fields would be reported."""
    for item in error.errors(include_url=False):
        if item["loc"] == ("format",) and isinstance(item["input"], int):
            raise BundleError(
                f"Expected a bundle of format {FORMAT} in {folder}. Received: format {item['input']}. "
                "Train the model and export it again with this release"
            ) from error


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'manifest'}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False)[:5]
    )
