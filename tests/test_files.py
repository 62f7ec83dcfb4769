"""What a killed process leaves beside a file, and who removes it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pyautodl as ad
from pyautodl import _files as files
from pyautodl._files import atomic_write

# writes a file, and waits before it is renamed
WRITER = """
import os, sys, time
from pyautodl import _files as files
def wait(name, target):
    print(name, flush=True)
    time.sleep(60)
os.replace = wait
files.atomic_write(sys.argv[1], b"half")
"""


@pytest.fixture
def writer(tmp_path):
    """A process that is writing x.safetensors, and the name it writes under."""
    path = str(tmp_path / "x.safetensors")
    command = [sys.executable, "-c", WRITER, path]
    root = str(Path(__file__).parents[1])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as made:
        assert made.stdout is not None
        name = made.stdout.readline().strip()
        yield made, Path(name)
        made.kill()


def test_what_a_killed_process_left_goes_with_the_next_save(tmp_path, writer):
    process, left = writer
    path = tmp_path / "x.safetensors"
    ad.save({"a": 1}, path)
    assert left.exists()  # it is being written
    process.kill()
    process.wait()
    ad.save({"a": 2}, tmp_path / "x.safetensors2")
    ad.save({"a": 2}, tmp_path / "x")
    assert left.exists()  # of another file
    ad.save({"a": 3}, path)
    assert not left.exists()
    assert ad.load(path) == {"a": 3}
    names = {each.name for each in tmp_path.iterdir()}
    assert names == {"x", "x.safetensors", "x.safetensors2"}


def test_nothing_but_what_was_left_is_removed(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    prefix = files._prefix_of(path)
    others = [
        ".x.safetensors.saving-0123456789abcdef-abcdefgh",
        ".x.safetensors.abcdefgh",
        "x.safetensors.backup",
        prefix[1:] + "abcdefgh",
    ]
    monkeypatch.setattr(files.platform, "node", lambda: "another")
    others.append(files._prefix_of(path) + "abcdefgh")
    monkeypatch.undo()
    for name in others:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / f"{prefix}folder").mkdir()
    (tmp_path / f"{prefix}link").symlink_to(tmp_path / others[0])
    before = set(os.listdir(tmp_path))
    atomic_write(path, b"new")
    assert set(os.listdir(tmp_path)) == {*before, path.name}
    assert (tmp_path / others[0]).read_bytes() == b"x"


def test_a_failed_write_leaves_the_old_file_and_what_was_left(tmp_path, monkeypatch):
    path = tmp_path / "x"
    atomic_write(path, b"old")
    left = tmp_path / f"{files._prefix_of(path)}abcdefgh"
    left.write_bytes(b"new")

    def fail(*names):
        raise OSError("no space")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        atomic_write(path, b"newer")
    assert {each.name for each in tmp_path.iterdir()} == {path.name, left.name}
    assert path.read_bytes() == b"old"


def test_a_full_disk_is_named_by_the_file(tmp_path, monkeypatch):
    path = tmp_path / "x"
    atomic_write(path, b"old")

    def fail(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OSError, match=f"No space left on device: '{path}'") as caught:
        atomic_write(path, b"newer")
    assert caught.value.errno == errno.ENOSPC
    assert (path.read_bytes(), os.listdir(tmp_path)) == (b"old", ["x"])


def test_files_that_can_not_be_locked_are_written_and_kept(tmp_path, monkeypatch):
    path = tmp_path / "x"
    left = tmp_path / f"{files._prefix_of(path)}abcdefgh"
    left.write_bytes(b"left")

    def refuse(*arguments):
        raise OSError("not supported")

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"
    assert left.exists()


def test_a_file_that_is_removed_before_it_is_locked_is_made_anew(tmp_path, monkeypatch):
    lock = files.fcntl.flock
    removed = []

    def late(handle, how):
        if not removed:
            removed.extend(tmp_path.iterdir())
            removed[0].unlink()
        lock(handle, how)

    monkeypatch.setattr(files.fcntl, "flock", late)
    atomic_write(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"new"
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


def test_files_are_written_where_there_are_no_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "fcntl", None)
    path = tmp_path / "x"
    left = tmp_path / f"{files._prefix_of(path)}abcdefgh"
    left.write_bytes(b"left")
    for content in (b"old", b"new"):
        atomic_write(path, content)
        assert path.read_bytes() == content
    assert left.exists()


def test_long_names_have_room(tmp_path):
    atomic_write(tmp_path / ("x" * 255), b"new")
    assert len(list(tmp_path.iterdir())) == 1
