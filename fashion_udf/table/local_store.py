"""A store on a local file system with hard links: complete, durable files, and one winner for each name."""

from __future__ import annotations

import errno
import math
import os
import shutil
import stat
from pathlib import Path
from typing import BinaryIO, cast

from fashion_udf import files
from fashion_udf.table.store import Store, StoredFile

#: Prefix of a directory that is being removed. No run id starts with it.
REMOVED = ".expired-"


def open_local(root: Path) -> Store:
    """Return the store of a local directory."""
    return Store(
        list_names=lambda prefix: _list_names(root, root / prefix),
        list_files=lambda prefix: _list_files(root, root / prefix),
        open=lambda key: open_plain(root / key),
        read=lambda key, limit: _read(root / key, limit),
        create=lambda key, data: _create(root / key, data),
        replace=lambda key, data: _replace(root / key, data),
        replace_pointer=lambda prefix, target, sql: _replace_pointer(root / prefix, target, sql),
        delete=lambda key: _delete(root / key),
        delete_tree=lambda prefix, since: _delete_tree(root, root / prefix, since),
        sync=lambda prefix, names: _sync(root, root / prefix, names),
    )


def open_plain(path: Path) -> BinaryIO:
    """Open a plain file for reading. Links, pipes and directories are refused.

    Raises:
        OSError: the path is no plain file, or cannot be opened.
    """
    # Without O_NOFOLLOW a link could lead out of the table; without O_NONBLOCK opening a named pipe would hang.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return cast(BinaryIO, open(descriptor, "rb"))
    except BaseException:
        os.close(descriptor)
        raise


def _list_names(root: Path, directory: Path) -> list[str]:
    _require_no_link(root, directory)
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def _list_files(root: Path, directory: Path) -> list[StoredFile]:
    """List a tree with its directories. Links are listed but not followed."""
    _require_no_link(root, directory)
    found = list[StoredFile]()

    def refuse(error: OSError) -> None:
        if error.filename != str(directory) or not isinstance(error, FileNotFoundError):
            raise error  # os.walk would treat a directory that cannot be listed as empty

    for parent, _, names in os.walk(str(directory), onerror=refuse):
        below = os.path.relpath(parent, root)
        found.append(StoredFile(f"{below}/", 0, os.lstat(parent).st_mtime))
        for name in names:
            status = os.lstat(os.path.join(parent, name))
            found.append(StoredFile(f"{below}/{name}", status.st_size, status.st_mtime))
    return sorted(found, key=lambda file: file.key)


def _require_no_link(root: Path, directory: Path) -> None:
    # The root may be a link, which the operator made. A directory of the table may not.
    below = len(directory.relative_to(root).parts)
    if any(each.is_symlink() for each in (directory, *directory.parents)[:below]):
        raise OSError(errno.ELOOP, "a link, which may lead out of the table", str(directory))


def _read(path: Path, limit: int) -> bytes:
    with open_plain(path) as file:
        return file.read(limit)


def _create(path: Path, data: bytes) -> bool:
    files.make_directory(path.parent)
    temporary = files.temporary(path)
    try:
        files.write_synced(temporary, data)
        # A rename would replace an existing file. A link to an existing name fails, on every POSIX file system.
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in (errno.EPERM, errno.ENOTSUP):
            raise OSError(error.errno, "a commit needs hard links, which this file system lacks", str(path)) from error
        raise
    finally:
        files.discard(temporary)
    files.sync(path.parent)
    return True


def _replace(path: Path, data: bytes) -> None:
    files.make_directory(path.parent)
    files.replace_file(path, data)


def _replace_pointer(directory: Path, target: str, sql: bytes) -> None:
    temporary = files.temporary(directory / "current")
    try:
        os.symlink(target, temporary)
        os.replace(temporary, directory / "current")
    finally:
        files.discard(temporary)
    files.replace_file(directory / "current.sql", sql)  # also syncs the directory with the link


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        files.sync(path.parent)


def _delete_tree(root: Path, directory: Path, since: float) -> bool:
    """Rename a directory and then remove it, so that no reader finds it half removed."""
    if not os.path.lexists(directory):
        return True
    doomed = directory if directory.name.startswith(REMOVED) else directory.with_name(REMOVED + directory.name)
    if doomed != directory:
        os.rename(directory, doomed)
        if newest_change(_list_files(root, doomed)) > since:
            os.rename(doomed, directory)
            return False
    shutil.rmtree(doomed)
    files.sync(doomed.parent)
    return True


def newest_change(listed: list[StoredFile]) -> float:
    """Return when a listed tree was last changed; minus infinity for an empty list."""
    return max((file.time for file in listed), default=-math.inf)


def _sync(root: Path, directory: Path, names: list[str]) -> None:
    for name in names:
        files.sync(directory / name)
    files.sync(directory)
    for parent in directory.parents:  # names up to the output's root must survive a power cut
        if parent == root.parent or not parent.is_relative_to(root):
            break
        files.sync(parent)
