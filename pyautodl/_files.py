"""Files that are replaced as a whole, whatever happens meanwhile."""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]

__all__ = ["atomic_write"]


def atomic_write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file so that at any time it is the old one or the new one, whole.

    A link stays, and what it leads to is written; so is a device or a pipe, as it is. What
    a killed process left behind when it wrote the same file is removed.

    Raises:
        OSError: the file can't be written; nothing is left behind.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"can't write {os.fspath(path)!r}: it is a folder")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"can't write {os.fspath(path)!r}: there is no folder {str(target.parent)!r}"
        )
    try:
        _write(target, content)
    except OSError as error:  # it names the temporary file or, on a full disk, none
        if error.errno is None:
            raise
        raise type(error)(error.errno, error.strerror, os.fspath(path)) from None


def _write(target: Path, content: bytes) -> None:
    if target.exists() and not target.is_file():
        target.write_bytes(content)
        return
    handle, name = _make_beside(target)
    # the file stays open, and so locked, until it has its name
    with os.fdopen(handle, "wb") as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            if fcntl is None:  # such systems rename no open file
                file.close()
            os.chmod(name, _mode_of(target))
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise
    _remove_abandoned(target)


def _prefix_of(target: Path) -> str:
    """How the names begin under which this machine writes a file before it is renamed.

    The digest tells them from files of others, and the machine from others that share the
    folder, whose locks need not be seen here. Names of any length have room for it.
    """
    whole = f"{platform.node()}\0{target.name}"
    digest = hashlib.sha256(os.fsencode(whole)).hexdigest()[:16]
    return f".{target.name[:40]}.saving-{digest}-"


def _make_beside(target: Path) -> tuple[int, str]:
    """A new file in the same folder, locked as long as it is open."""
    while True:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=_prefix_of(target))
        if fcntl is None:
            return handle, name
        # where files can't be locked, none is taken for abandoned either
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.path.lexists(name):
            return handle, name
        # another process had found it before it was locked
        os.close(handle)


def _remove_abandoned(target: Path) -> None:
    """Remove what processes that were killed have left of the same file.

    A file that is being written is locked, and the lock goes with its process.
    """
    if fcntl is None:
        return
    prefix = _prefix_of(target)
    # the new file stands already: that an old one can't be removed is no failure
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.is_file(follow_symlinks=False):
                with suppress(OSError), _locked(entry.path):
                    os.unlink(entry.path)


@contextmanager
def _locked(path: str) -> Iterator[None]:
    """Hold the lock of a file that nobody else holds.

    Raises:
        OSError: somebody does.
    """
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _mode_of(target: Path) -> int:
    """The permissions of the file that is replaced, or those of a new one."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
