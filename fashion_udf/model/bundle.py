"""A model bundle: a directory of data files, verified against its manifest before any framework reads a byte of it.

    manifest.json         facts about the model, and sha256 and size of every other file
    tokenizer.json        the trained tokenizer
    weights.safetensors   weights by name, half precision; the architecture comes from `fashion_udf.model.architecture`
    openvino/             model.xml and model.bin: the same weights as OpenVINO IR, run as f32 or bf16; model_int8.xml
                          and .bin: the quantized weights
    taxonomy.yaml         the family of each category (`fashion_udf.model.taxonomy`)
    golden.parquet        inputs and expected outputs (`fashion_udf.model.engines.golden`)
    MODEL_CARD.md         the description of the model, for people
    NOTICE                origin and licence of weights and data

`model_version` is the sha256 of the manifest, so it pins every byte of the bundle. Each file is opened once, and
exactly the hashed bytes are used, so that replacing a file afterwards has no effect.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from fashion_udf.errors import BundleError
from fashion_udf.model import bundle_files, taxonomy
from fashion_udf.model.bundle_files import Files, Folder
from fashion_udf.model.manifest import ADVICE, FileFacts, Manifest, canonical, parse, validated
from fashion_udf.model.taxonomy import Taxonomy

MANIFEST = "manifest.json"
MANIFEST_LIMIT = 1_000_000  # bytes

#: model_version of the bundle that ships inside the package (`bundle: builtin`).
BUILTIN_VERSION = "b36e68fe05ffa9db2ae5d7fa864d28f89fe73f444818e9b01131d6c9a734c2b5"

_PINNED = re.compile(r"(?P<path>.+)@(?P<version>[0-9a-f]{64})", re.DOTALL)


@dataclass(frozen=True)
class Bundle:
    """A verified bundle in memory. It is picklable, so that the driver can broadcast it."""

    manifest: Manifest
    files: Mapping[str, bytes]
    model_version: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The categories of the model."""
        return tuple(self.manifest.labels)

    @property
    def version(self) -> str:
        """The `model_version`, which `PATH@<model_version>` pins."""
        return self.model_version

    @property
    def taxonomy(self) -> Taxonomy:
        """The family of each category. The file is parsed at each call."""
        return taxonomy.parse(self.files["taxonomy.yaml"], self.labels)

    @property
    def card(self) -> str:
        """The model card, in Markdown; empty if the bundle has none."""
        return self.files.get("MODEL_CARD.md", b"").decode("utf-8", "replace")


def read(reference: str, open_folder: Callable[[str], Folder] | None = None) -> Bundle:
    """Read and verify a bundle.

    Args:
        reference: `builtin`, a directory, or `DIRECTORY@<model_version>`, which accepts that version only. A URI needs
            the version.
        open_folder: opens a URI. None means that only directories are accepted.

    Raises:
        BundleError: a file is missing, unexpected, altered, too large, no plain file, a link, or writable by everybody;
            or the version differs, or the taxonomy has other categories. The message names the file.
    """
    if reference == "builtin":
        # Installers hard-link package files from their cache, so links are allowed here. The digest protects the files.
        folder = str(resources.files("fashion_udf").joinpath("bundles", "builtin"))
        return _read(folder, BUILTIN_VERSION, foreign=False)
    pinned = _PINNED.fullmatch(reference)
    if re.match(r"[a-z][a-z0-9+.-]*://", reference):
        if pinned is None or open_folder is None:
            raise BundleError(
                "Expected bundle to be 'builtin', PATH, PATH@<model_version> or URI@<model_version>, since a remote "
                f"bundle could be replaced. Received: {reference!r}"
            )
        try:
            return _verified(pinned["path"], pinned["version"], bundle_files.elsewhere(pinned["path"], open_folder))
        except OSError as error:
            raise BundleError(f"Expected bundle {pinned['path']} to be readable. Received: {error}") from error
    if pinned:
        return _read(pinned["path"], pinned["version"], foreign=True)
    return _read(reference, None, foreign=True)


def in_memory(manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    """Return a bundle of files in memory: the export measures a bundle before it is written.

    Raises:
        BundleError: a bundle may not hold a file of this name, or a value of the manifest is out of range.
    """
    version = hashlib.sha256(canonical(validated(manifest, files))).hexdigest()
    return Bundle(manifest, files, version)


def write(directory: Path, manifest: Manifest, files: Mapping[str, bytes]) -> str:
    """Write a new bundle directory, and verify it.

    Args:
        directory: must not exist, so that no released bundle is ever overwritten.
        manifest: the manifest. This function fills in its `files`.
        files: content by name, for example `openvino/model.xml`.

    Returns:
        The model_version.

    Raises:
        BundleError: the directory exists, or the manifest and files are not a valid bundle.
    """
    content = canonical(validated(manifest, files))
    version = hashlib.sha256(content).hexdigest()
    try:
        directory.mkdir(parents=True)
    except FileExistsError as error:
        raise BundleError(f"Expected a directory that does not exist yet. Received: {directory}") from error
    for name, data in {
        **files,
        MANIFEST: content,
    }.items():  # the manifest is last: a bundle is complete when it has one
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(data)
    read(f"{directory}@{version}")
    return version


def _read(folder: str, version: str | None, foreign: bool) -> Bundle:
    with bundle_files.in_directory(folder, foreign) as files:
        return _verified(folder, version, files)


def _verified(folder: str, version: str | None, found: Files) -> Bundle:
    content = found.read(MANIFEST, MANIFEST_LIMIT)
    digest = hashlib.sha256(content).hexdigest()
    if version not in (None, digest):
        raise BundleError(f"Expected bundle {folder} to have model_version {version}. Received: {digest}. {ADVICE}")
    manifest = parse(content, folder)
    _require_files(manifest, found.names(), folder)
    files = {name: _as_listed(name, facts, found) for name, facts in sorted(manifest.files.items())}
    bundle = Bundle(manifest, files, digest)
    _ = bundle.taxonomy  # raises an error on the driver, before any row is scored, if it does not fit the labels
    return bundle


def _require_files(manifest: Manifest, present: set[str], folder: str) -> None:
    listed = {MANIFEST, *manifest.files}
    for kind, names in [
        ("not in the manifest, though its engines need it:", manifest.required_files() - listed),
        ("missing:", listed - present),
        ("not in the manifest:", present - listed),
    ]:
        if names:
            raise BundleError(
                f"Expected the files of the manifest in {folder}, no fewer and no more. Received: {kind} "
                f"{', '.join(repr(name) for name in sorted(names)[:5])}. {ADVICE}"
            )


def _as_listed(name: str, facts: FileFacts, found: Files) -> bytes:
    data = found.read(name, facts.size)
    digest = hashlib.sha256(data).hexdigest()
    if digest != facts.sha256:
        raise BundleError(f"Expected {name} to have sha256 {facts.sha256}. Received: {digest}. {ADVICE}")
    return data
