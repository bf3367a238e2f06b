"""Photo paths from a hostile catalog: nothing is read outside the roots, nothing waits, nothing raises."""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion_udf.photos import fetch
from fashion_udf.photos.fetch import Photo
from fashion_udf.schema import Status

DATA = b"not decoded here"
STATUSES = {
    Status.OK,
    Status.IMAGE_MISSING,
    Status.IMAGE_FORBIDDEN,
    Status.IMAGE_TOO_LARGE,
    Status.IMAGE_IO,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The photo folder, with a secret beside it."""
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "photos-of-others").mkdir()
    (tmp_path / "photos-of-others" / "a.jpg").write_bytes(b"secret")
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def _read(uri: str, root: Path, max_bytes: int = 100) -> Photo:
    before = len(os.listdir("/proc/self/fd"))
    photo = fetch.read(uri, [str(root)], max_bytes)
    assert len(os.listdir("/proc/self/fd")) == before, "no descriptor stays open"
    assert (photo.status == Status.OK) == (photo.data is not None) == (photo.error is None)
    return photo


NAMES = [
    "a.jpg",
    "two words.jpg",
    " leading and trailing ",
    "100%.jpg",
    "a%20b.jpg",
    "a+b&c=d.jpg",
    "question?mark#hash.jpg",
    "semi;colon:colon.jpg",
    "line\nbreak\ttab.jpg",
    "йцукен.jpg",
    unicodedata.normalize("NFD", "йцукен.jpg"),
    "👗.jpg",
    "back\\slash.jpg",
    os.fsdecode(b"latin-1 \xe9\xff.jpg"),
    "x" * 255,
]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_read_by_its_path_whatever_its_name(root: Path, name: str) -> None:
    (root / name).write_bytes(DATA)
    assert _read(f"{root}/{name}", root).data == DATA


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_read_by_its_percent_escaped_uri(root: Path, name: str) -> None:
    (root / name).write_bytes(DATA)
    uri = (root / name).as_uri()
    assert uri.isascii() and uri.startswith("file:///")
    for variant in (uri, uri.replace("file://", "file:"), uri.replace("file://", "FILE://localhost")):
        assert _read(variant, root).data == DATA


def test_a_path_is_not_unescaped_and_unicode_forms_are_different_files(root: Path) -> None:
    (root / "a b.jpg").write_bytes(DATA)
    (root / unicodedata.normalize("NFC", "й.jpg")).write_bytes(DATA)
    assert _read(f"{root}/a%20b.jpg", root).status == Status.IMAGE_MISSING
    assert _read(f"{root}/{unicodedata.normalize('NFD', 'й.jpg')}", root).status == Status.IMAGE_MISSING


def test_the_identity_changes_when_the_file_is_replaced(root: Path) -> None:
    path = root / "a.jpg"
    path.write_bytes(DATA)
    first, again = _read(str(path), root).identity, _read(str(path), root).identity
    os.utime(path, ns=(0, 5))
    assert first == again
    assert _read(str(path), root).identity == f"{len(DATA)}-5" != first


def test_reading_changes_nothing_in_the_folder(root: Path) -> None:
    path = root / "a.jpg"
    path.write_bytes(DATA)
    path.chmod(0o444)
    before = os.stat(path)
    assert _read(str(path), root).status == Status.OK
    after = os.stat(path)
    assert (path.read_bytes(), os.listdir(root)) == (DATA, ["a.jpg"])
    assert (after.st_mtime_ns, after.st_ctime_ns, after.st_mode) == (
        before.st_mtime_ns,
        before.st_ctime_ns,
        before.st_mode,
    )


@pytest.mark.parametrize(
    "uri",
    [
        "{root}/../secret.jpg",
        "{root}/./x/../../secret.jpg",
        "{root}//..//secret.jpg",
        "{root}/../photos-of-others/a.jpg",
        "file://{root}/../secret.jpg",
        "file://{root}/%2E%2E/secret.jpg",
        "file://{root}/..%2Fsecret.jpg",
        "/etc/passwd",
        "../secret.jpg",
        "men/../../secret.jpg",
        "{root}",
        "{root}/",
        "/",
        "",
        "/dev/zero",
        "/proc/self/environ",
    ],
)
def test_a_path_out_of_the_roots_is_forbidden(root: Path, uri: str) -> None:
    photo = _read(uri.format(root=root), root)
    assert (photo.status, photo.error) == (Status.IMAGE_FORBIDDEN, "not below any of input.image_roots")
    assert photo.identity is None


@pytest.mark.parametrize("uri", ["men/a.jpg", "./men/a.jpg", "/men/a.jpg", "//men//a.jpg", "file:/men/a.jpg"])
def test_a_name_that_lies_below_no_root_is_looked_up_below_each_in_turn(root: Path, uri: str) -> None:
    (root.parent / "old" / "men").mkdir(parents=True)
    roots = [str(root), str(root.parent / "old")]
    assert fetch.read(uri, roots, 100).status in (Status.IMAGE_MISSING, Status.IMAGE_FORBIDDEN)
    (root.parent / "old" / "men" / "a.jpg").write_bytes(b"second")
    assert fetch.read(uri, roots, 100).data == b"second"
    (root / "men").mkdir()
    (root / "men" / "a.jpg").write_bytes(DATA)
    found = fetch.read(uri, roots, 100)
    assert found.data == DATA and found.identity == fetch.identity(uri, roots)


def test_a_relative_name_of_no_file_is_missing_and_a_link_out_of_the_root_is_forbidden(root: Path) -> None:
    assert _read("none.jpg", root).status == Status.IMAGE_MISSING
    (root / "out.jpg").symlink_to(root.parent / "secret.jpg")
    assert _read("out.jpg", root).status == Status.IMAGE_FORBIDDEN


def test_a_name_that_was_not_utf_8_says_so(root: Path) -> None:
    photo = _read(f"{root}/caf\ufffd.jpg", root)
    assert photo.status == Status.IMAGE_MISSING
    assert photo.error == "No such file or directory; the catalog has bytes in this name that are not UTF-8"


def test_a_data_uri_is_its_own_photo(root: Path) -> None:
    assert _read("data:image/png;base64,bm90IGRlY29kZWQgaGVyZQ==", root).data == DATA


def test_any_of_several_roots_will_do_and_none_reads_nothing(root: Path) -> None:
    (root / "a.jpg").write_bytes(DATA)
    assert fetch.read(f"{root}/a.jpg", ["/nowhere", f"{root}/"], 100).data == DATA
    assert fetch.read(f"{root}/a.jpg", ["/"], 100).data == DATA
    assert fetch.read(f"{root}/a.jpg", [], 100).status == Status.IMAGE_FORBIDDEN


def test_a_link_is_followed_inside_the_roots_only(root: Path) -> None:
    (root / "a.jpg").write_bytes(DATA)
    (root / "inside.jpg").symlink_to("a.jpg")
    (root / "outside.jpg").symlink_to("../secret.jpg")
    (root / "folder").symlink_to("..")
    (root.parent / "root-link").symlink_to("photos")
    assert _read(f"{root}/inside.jpg", root).data == DATA
    assert _read(f"{root}/outside.jpg", root).status == Status.IMAGE_FORBIDDEN
    assert _read(f"{root}/folder/secret.jpg", root).status == Status.IMAGE_FORBIDDEN
    assert _read(f"{root}/folder/photos/a.jpg", root).data == DATA
    assert _read(f"{root}/a.jpg", root.parent / "root-link").data == DATA


def test_a_link_loop_is_forbidden_and_a_dangling_link_is_missing(root: Path) -> None:
    (root / "loop.jpg").symlink_to("loop.jpg")
    (root / "gone.jpg").symlink_to("nothing.jpg")
    assert _read(f"{root}/loop.jpg", root).status == Status.IMAGE_FORBIDDEN
    assert _read(f"{root}/loop.jpg/a.jpg", root).status == Status.IMAGE_FORBIDDEN
    assert _read(f"{root}/gone.jpg", root).status == Status.IMAGE_MISSING


@pytest.mark.timeout(20)
@pytest.mark.parametrize("plant", [os.mkfifo, os.mkdir])
def test_a_pipe_or_a_folder_is_forbidden_at_once(root: Path, plant: Callable[[Path], None]) -> None:
    plant(root / "a.jpg")
    photo = _read(f"{root}/a.jpg", root)
    assert (photo.status, photo.error) == (Status.IMAGE_FORBIDDEN, "not a regular file")


def test_a_device_below_a_root_is_forbidden() -> None:
    assert _read("/dev/zero", Path("/dev")).status == Status.IMAGE_FORBIDDEN


@pytest.mark.parametrize("target", ["folder", "file"])
def test_what_becomes_a_link_after_the_check_is_not_read(
    root: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    (root / "folder").mkdir()
    for path in ("folder/secret.jpg", "other.jpg"):
        (root / path).write_bytes(DATA)
    really_open = os.open

    def swap_and_open(path: str, flags: int, **options: Any) -> int:
        victim = root / "folder" if target == "folder" else root / "folder" / "secret.jpg"
        victim.rename(root / "was")
        victim.symlink_to(root.parent if target == "folder" else root / "other.jpg")
        return really_open(path, flags, **options)

    monkeypatch.setattr(os, "open", swap_and_open)
    assert _read(f"{root}/folder/secret.jpg", root).status == Status.IMAGE_FORBIDDEN


@pytest.mark.parametrize("scheme", ["hdfs", "gs", "data", "ftp", "C", "x" * 5000])
def test_any_other_scheme_is_forbidden_and_named(root: Path, scheme: str) -> None:
    photo = _read(f"{scheme}://169.254.169.254/{root}/a.jpg?token=secret", root)
    assert photo.status == Status.IMAGE_FORBIDDEN
    assert photo.error == f"scheme '{scheme[:20]}' is not read; expected a local path, file:, s3: or https:"


@pytest.mark.parametrize("uri", ["file://host/a.jpg", "file://[::1/a.jpg", "file://..{root}/a.jpg"])
def test_a_file_uri_with_a_host_is_forbidden(root: Path, uri: str) -> None:
    (root / "a.jpg").write_bytes(DATA)
    assert _read(uri.format(root=root), root).status == Status.IMAGE_FORBIDDEN


@pytest.mark.parametrize(
    "name", ["none.jpg", "a.jpg/b.jpg", "a\0.jpg", "x" * 5000, "ü" * 2500, "x" * 256, "\ud800.jpg"]
)
def test_what_names_no_file_is_missing(root: Path, name: str) -> None:
    (root / "a.jpg").write_bytes(DATA)
    (root / "?.jpg").write_bytes(DATA)
    assert _read(f"{root}/{name}", root).status == Status.IMAGE_MISSING


def test_an_escaped_nul_is_missing(root: Path) -> None:
    (root / "a.jpg").write_bytes(DATA)
    assert _read(f"file://{root}/a.jpg%00.png", root).status == Status.IMAGE_MISSING


def test_a_file_over_the_limit_is_refused_unread(root: Path) -> None:
    with open(root / "a.jpg", "wb") as file:
        file.truncate(2**40)
    photo = _read(f"{root}/a.jpg", root)
    assert (photo.status, photo.error) == (Status.IMAGE_TOO_LARGE, f"{2**40} bytes, at most 100 are accepted")
    os.truncate(root / "a.jpg", 100)
    assert _read(f"{root}/a.jpg", root).data == bytes(100)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.EMFILE, None])
def test_any_other_failure_is_an_io_status(root: Path, monkeypatch: pytest.MonkeyPatch, code: int | None) -> None:
    def fail(path: str, flags: int) -> int:
        raise OSError("/private/path") if code is None else OSError(code, "/private/path")

    (root / "a.jpg").write_bytes(DATA)
    monkeypatch.setattr(os, "open", fail)
    photo = _read(f"{root}/a.jpg", root)
    assert photo.status == Status.IMAGE_IO
    assert photo.error == (os.strerror(code) if code else "OSError")
    assert photo.identity == fetch.identity(f"{root}/a.jpg", [str(root)]) is not None


@settings(max_examples=200, deadline=None)
@given(st.text() | st.builds("file:{}".format, st.text()) | st.builds("/photos/../{}".format, st.text()))
def test_any_text_at_all_gives_a_status(uri: str) -> None:
    photo = fetch.read(uri, ["/photos"], 100)
    assert photo.status in STATUSES - {Status.OK} and photo.data is None and "\n" not in (photo.error or "\n")


def test_the_identity_is_what_reading_would_find_whatever_the_path(root: Path) -> None:
    (root / "a b%.jpg").write_bytes(DATA)
    (root / "large.jpg").write_bytes(DATA * 10)
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe.jpg")
    for name, target in {"in": "a b%.jpg", "out": "../secret.jpg", "up": "..", "loop": "loop", "gone": "no"}.items():
        (root / name).symlink_to(target)
    names = [
        "a b%.jpg", "large.jpg", "folder", "pipe.jpg", "in", "out", "up/photos/in", "up/secret.jpg", "loop", "gone",
        "no.jpg", "a b%.jpg/x", "../secret.jpg", "../photos/in", "in\0", "\ud800", "x" * 256, "./" * 2500 + "in", "",
    ]  # fmt: skip
    uris = [f"{root}/{name}" for name in names]
    uris += [(root / "a b%.jpg").as_uri(), f"file:{root}/in%00", f"file://host{root}/in", f"s3://{root}/in", "in", ""]
    found = {uri: fetch.identity(uri, [str(root)]) for uri in uris}
    assert found == {uri: _read(uri, root).identity for uri in uris}
    assert {identity.split("-")[0] for identity in found.values() if identity} == {"16", "160"}


def test_the_identity_follows_size_and_time_and_the_file_is_not_opened(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = root / "a.jpg"
    path.write_bytes(DATA)
    os.utime(path, ns=(1, 1_700_000_000_000_000_001))
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", None)
        assert fetch.identity(str(path), [str(root)]) == f"{len(DATA)}-1700000000000000001"
    os.utime(path, ns=(1, 1_700_000_000_000_000_002))
    assert fetch.identity(str(path), [str(root)]) == f"{len(DATA)}-1700000000000000002"


@given(st.text() | st.builds("file:{}".format, st.text()) | st.builds("/proc/self/{}".format, st.text()))
def test_any_text_at_all_has_the_identity_that_reading_finds(uri: str) -> None:
    assert fetch.identity(uri, ["/nowhere"]) is fetch.read(uri, ["/nowhere"], 100).identity is None
