"""A model bundle: a directory of data files, verified against its manifest before any framework sees a byte of it.

    manifest.json         what the model is, and sha256 and size of every other file
    tokenizer.json        the trained tokenizer
    weights.safetensors   weights by name, half precision; the architecture comes from `fashion_udf.model.architecture`
    openvino/             model.xml and model.bin: the same weights as OpenVINO IR, run as f32 or bf16; model_int8.xml
                          and .bin: these weights, quantized
    taxonomy.yaml         the family of each category (`fashion_udf.model.taxonomy`)
    golden.parquet        inputs and expected outputs (`fashion_udf.model.engines.golden`)
    MODEL_CARD.md         for people
    NOTICE                origin and licence of weights and data

`model_version` is the sha256 of the manifest, so it pins every byte of the bundle. Each file is opened once, and the
bytes that were hashed are the bytes that are used: replacing a file afterwards changes nothing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from fashion_udf.errors import BundleError
from fashion_udf.model import taxonomy
from fashion_udf.model.manifest import ADVICE, FileFacts, Manifest, canonical, parse, validated
from fashion_udf.model.taxonomy import Taxonomy

MANIFEST = "manifest.json"
MANIFEST_LIMIT = 1_000_000  # bytes

#: model_version of the bundle that ships inside the package (`bundle: builtin`).
BUILTIN_VERSION = "b36e68fe05ffa9db2ae5d7fa864d28f89fe73f444818e9b01131d6c9a734c2b5"

_DIRECTORY = "openvino"

_PINNED = re.compile(r"(?P<path>.+)@(?P<version>[0-9a-f]{64})", re.DOTALL)


@dataclass(frozen=True)
class Bundle:
    """A verified bundle, held in memory; picklable, so that the driver can broadcast it."""

    manifest: Manifest
    files: Mapping[str, bytes]
    model_version: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The categories that the model knows."""
        return tuple(self.manifest.labels)

    @property
    def version(self) -> str:
        """The `model_version`: what `PATH@<model_version>` pins."""
        return self.model_version

    @property
    def taxonomy(self) -> Taxonomy:
        """The family of each category, read anew at each call."""
        return taxonomy.parse(self.files["taxonomy.yaml"], self.labels)

    @property
    def card(self) -> str:
        """The model card, in Markdown; empty where the bundle has none."""
        return self.files.get("MODEL_CARD.md", b"").decode("utf-8", "replace")


def read(reference: str) -> Bundle:
    """Read and verify a bundle.

    Args:
        reference: `builtin`, a directory, or `DIRECTORY@<model_version>`, which accepts that version only.

    Raises:
        BundleError: a file is missing, extra, altered, too large, no plain file or a link, or anybody may write to it;
            or the version is another one, or the taxonomy names other categories. The message names the file.
    """
    if reference == "builtin":
        # Installers hard-link package files from their cache, so links are not refused here; the digest is.
        folder = str(resources.files("fashion_udf").joinpath("bundles", "builtin"))
        return _read(folder, BUILTIN_VERSION, foreign=False)
    if re.match(r"[a-z][a-z0-9+.-]*://", reference):
        raise BundleError(f"Expected bundle to be 'builtin', PATH or PATH@<model_version>. Received: {reference!r}")
    pinned = _PINNED.fullmatch(reference)
    if pinned:
        return _read(pinned["path"], pinned["version"], foreign=True)
    return _read(reference, None, foreign=True)


def in_memory(manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    """Return a bundle of files that are written nowhere yet: the export measures one before it is released.

    Raises:
        BundleError: a file name is not one that a bundle may hold, or a value of the manifest is out of range.
    """
    version = hashlib.sha256(canonical(validated(manifest, files))).hexdigest()
    return Bundle(manifest, files, version)


def write(directory: Path, manifest: Manifest, files: Mapping[str, bytes]) -> str:
    """Write a new bundle directory and read it back.

    Args:
        directory: must not exist, so that no released bundle is ever overwritten.
        manifest: its `files` are filled in here.
        files: content by name, `openvino/model.xml` for example.

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
    for name, data in {**files, MANIFEST: content}.items():  # the manifest last: without it there is no bundle
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(data)
    read(f"{directory}@{version}")
    return version


def _read(folder: str, version: str | None, foreign: bool) -> Bundle:
    root = _open_directory(folder, None, foreign)
    try:
        content = _read_file(root, MANIFEST, MANIFEST_LIMIT, foreign)
        digest = hashlib.sha256(content).hexdigest()
        if version not in (None, digest):
            raise BundleError(f"Expected bundle {folder} to have model_version {version}. Received: {digest}. {ADVICE}")
        manifest = parse(content, folder)
        _require_files(manifest, _names(root, foreign), folder)
        files = {name: _verified(root, name, facts, foreign) for name, facts in sorted(manifest.files.items())}
    finally:
        os.close(root)
    found = Bundle(manifest, files, digest)
    _ = found.taxonomy  # on the driver, before any row is scored: it may not fit the labels
    return found


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


def _names(root: int, foreign: bool) -> set[str]:
    names = set(os.listdir(root))
    if _DIRECTORY not in names:
        return names
    inner = _open_directory(_DIRECTORY, root, foreign)
    try:
        return names - {_DIRECTORY} | {f"{_DIRECTORY}/{name}" for name in os.listdir(inner)}
    finally:
        os.close(inner)


def _verified(root: int, name: str, facts: FileFacts, foreign: bool) -> bytes:
    data = _read_file(root, name, facts.size, foreign)
    digest = hashlib.sha256(data).hexdigest()
    if digest != facts.sha256:
        raise BundleError(f"Expected {name} to have sha256 {facts.sha256}. Received: {digest}. {ADVICE}")
    return data


def _open_directory(path: str, parent: int | None, foreign: bool) -> int:
    # The folder of the reference may be a link that the operator made; one inside the bundle may not.
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if parent is None else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags, dir_fd=parent)
    except (OSError, ValueError) as error:
        raise BundleError(f"Expected {path!r} to be a directory, and no link. Received: {_reason(error)}") from error
    if foreign and os.fstat(descriptor).st_mode & stat.S_IWOTH:
        os.close(descriptor)
        raise BundleError(f"Expected {path} to be closed to others. Received: anybody may write. Try chmod o-w")
    return descriptor


def _read_file(root: int, name: str, limit: int, foreign: bool) -> bytes:
    try:
        # Without O_NONBLOCK, opening a pipe for reading waits for a writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=root)
    except OSError as error:
        raise BundleError(f"Expected {name} to be a plain file. Received: {_reason(error)}. {ADVICE}") from error
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise BundleError(f"Expected {name} to be a plain file. Received: a directory or device. {ADVICE}")
        if foreign and info.st_nlink != 1:
            raise BundleError(f"Expected {name} to be a plain file. Received: a hard link. {ADVICE} with cp")
        if foreign and info.st_mode & stat.S_IWOTH:
            raise BundleError(f"Expected {name} to be closed to others. Received: anybody may write. Try chmod o-w")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise BundleError(f"Expected {name} to have at most {limit} bytes. Received: more. {ADVICE}")
    return data


def _reason(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return str(error)
    return "a symbolic link" if error.errno == errno.ELOOP else str(error.strerror)
