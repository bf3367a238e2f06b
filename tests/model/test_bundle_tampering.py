"""An altered bundle is refused by name, before any framework is loaded (T3.1, T3.5)."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fashion_udf.errors import BundleError
from fashion_udf.model import bundle
from tests.fake_bundle import FILES, manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bundle.write(tmp_path / "model", manifest(), FILES)
    return tmp_path / "model"


def version(folder: Path) -> str:
    return bundle.read(str(folder)).model_version


def flip_a_bit(folder: Path, name: str, rng: random.Random) -> str:
    data = bytearray((folder / name).read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    (folder / name).write_bytes(data)
    return name


def truncate(folder: Path, name: str, rng: random.Random) -> str:
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: rng.randrange(len(data))])
    return name


def append(folder: Path, name: str, rng: random.Random) -> str:
    (folder / name).write_bytes((folder / name).read_bytes() + rng.randbytes(rng.randint(1, 9)))
    return name


def add(folder: Path, name: str, rng: random.Random) -> str:
    extra = rng.choice(
        ["config.json", "model.keras", ".hidden", "openvino/int8.xml", "openvino/lib.so", "a\nb", "Tokenizer.json"]
    )
    (folder / extra).write_bytes(b"x")
    return extra


def remove(folder: Path, name: str, rng: random.Random) -> str:
    (folder / name).unlink()
    return name


def rename(folder: Path, name: str, rng: random.Random) -> str:
    (folder / name).rename(folder / f"{name}{rng.randrange(10)}")
    return name


def swap(folder: Path, name: str, rng: random.Random) -> str:
    other = rng.choice(sorted({bundle.MANIFEST, *FILES} - {name}))
    first, second = (folder / name).read_bytes(), (folder / other).read_bytes()
    (folder / name).write_bytes(second)
    (folder / other).write_bytes(first)
    return f"{name}|{other}"


MUTATIONS: list[Callable[[Path, str, random.Random], str]] = [flip_a_bit, truncate, append, add, remove, rename, swap]


def test_500_random_alterations_are_all_refused_by_name(folder: Path, tmp_path: Path) -> None:
    reference = f"{tmp_path / 'copy'}@{version(folder)}"
    for seed in range(500):
        rng = random.Random(seed)
        shutil.copytree(folder, tmp_path / "copy")
        mutate = rng.choice(MUTATIONS)
        name = mutate(tmp_path / "copy", rng.choice(sorted({bundle.MANIFEST, *FILES})), rng)
        # A changed manifest is another version of the model: the pin names it.
        names = [repr(part)[1:-1] for part in name.split("|")] + (["model_version"] if bundle.MANIFEST in name else [])
        with pytest.raises(BundleError) as refusal:
            bundle.read(reference)
        assert any(part in str(refusal.value) for part in names), (seed, mutate, name, str(refusal.value))
        assert "Copy or export the bundle again" in str(refusal.value)
        assert "\n" not in str(refusal.value)
        shutil.rmtree(tmp_path / "copy")


def test_an_altered_bundle_is_refused_before_a_framework_is_loaded(folder: Path) -> None:
    (folder / "openvino" / "model.xml").write_bytes(b"<evil/>" * 20)
    program = (
        "import sys; from fashion_udf.model import bundle\n"
        "try: bundle.read(sys.argv[1])\n"
        "except bundle.BundleError as error: print(error)\n"
        "print(sorted({'tensorflow', 'keras', 'openvino', 'safetensors'} & set(sys.modules)))\n"
    )
    output = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    assert "Expected openvino/model.xml to have" in output.stdout
    assert output.stdout.endswith("[]\n")


def test_a_file_replaced_after_it_was_hashed_changes_nothing(folder: Path) -> None:
    found = bundle.read(str(folder))
    (folder / "weights.safetensors").write_bytes(b"evil")
    assert found.files["weights.safetensors"] == FILES["weights.safetensors"]


def symbolic_link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def hard_link(path: Path) -> None:
    os.link(path, path.parent.parent / "elsewhere")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def unix_socket(path: Path) -> None:
    path.unlink()
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path has at most 108 characters
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (symbolic_link, "a symbolic link"),
        (hard_link, "a hard link"),
        (pipe, "a directory or device"),
        (directory, "a directory or device"),
        (unix_socket, "No such device or address"),
        (lambda path: path.chmod(0o646), "anybody may write"),
    ],
)
@pytest.mark.parametrize("name", ["tokenizer.json", "manifest.json"])
@pytest.mark.timeout(20)
def test_only_plain_private_files_are_read(
    folder: Path, name: str, change: Callable[[Path], None], problem: str
) -> None:
    change(folder / name)
    with pytest.raises(BundleError, match=f"Expected {name} to be .* Received: {problem}"):
        bundle.read(str(folder))


def test_a_linked_directory_in_the_bundle_is_refused(folder: Path) -> None:
    symbolic_link(folder / "openvino")
    with pytest.raises(BundleError, match="Expected 'openvino' to be a directory, and no link. Received: "):
        bundle.read(str(folder))


def test_a_link_to_the_bundle_is_the_operators_choice(folder: Path) -> None:
    (folder.parent / "current").symlink_to(folder)
    assert bundle.read(str(folder.parent / "current")).files == FILES


@pytest.mark.parametrize("part", [".", "openvino"])
def test_a_directory_that_anybody_may_write_is_refused(folder: Path, part: str) -> None:
    (folder / part).chmod(0o757)
    with pytest.raises(BundleError, match="to be closed to others. Received: anybody may write. Try chmod o-w"):
        bundle.read(str(folder))
