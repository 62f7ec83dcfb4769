"""Saving and loading nested values."""

import errno
import io
import json
import math
import os
import pickle

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import _files as files
from pyautodl import errors
from pyautodl.errors import BackendError, CheckpointError


def test_everything_comes_back(tmp_path):
    path = tmp_path / "x"
    value = {
        "tensor": ad.arange(6).reshape(2, 3),
        "nested": {"a.b": [1, 2.5, None, True, "text"], 3: (ad.ones(()), ())},
        "a.b": ad.zeros(1),
        "a": {"b": ad.ones(1)},
        "special": [math.inf, -math.inf],
        "empty": {},
        "zero": ad.zeros(0, 4),
    }
    ad.save(value, path)
    found = ad.load(path)
    assert found["tensor"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["tensor"].dtype == ad.int64
    assert found["nested"]["a.b"] == [1, 2.5, None, True, "text"]
    assert found["nested"][3][1] == ()
    assert (found["a.b"].item(), found["a"]["b"].item()) == (0.0, 1.0)
    assert found["special"] == [math.inf, -math.inf]
    assert found["zero"].shape == (0, 4)
    ad.save({"nan": math.nan}, path)
    assert math.isnan(ad.load(path)["nan"])


@pytest.mark.parametrize(
    "dtype", [ad.float32, ad.float64, ad.int64, ad.int8, ad.uint8, ad.bool]
)
def test_every_dtype_and_layout(tmp_path, dtype):
    path = tmp_path / "x"
    x = ad.arange(24).reshape(2, 3, 4).to(dtype)
    ad.save([x, x.permute(2, 0, 1), x[:, ::2]], path)
    for a, b in zip(ad.load(path), [x, x.permute(2, 0, 1), x[:, ::2]], strict=True):
        assert a.dtype == dtype
        assert np.array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("value", [{1, 2}, {"a": [object()]}, {(1, 2): 3}])
def test_other_kinds_are_refused_by_name(tmp_path, value):
    path = tmp_path / "x"
    with pytest.raises(TypeError, match="save: "):
        ad.save(value, path)
    assert not path.exists()


def test_absent_and_damaged_files(tmp_path):
    path = tmp_path / "x"
    with pytest.raises(FileNotFoundError, match="there is no file"):
        ad.load(path)
    ad.save({"x": ad.ones(100)}, path)
    content = path.read_bytes()
    for damaged in (b"", content[:50], content[:-8], b"\xff" * 64):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged"):
            ad.load(path)


def test_files_of_other_programs_are_dicts(tmp_path):
    from safetensors.numpy import save_file

    save_file({"w": np.eye(2, dtype=np.float32)}, tmp_path / "x")
    assert ad.load(tmp_path / "x")["w"].tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_permissions_of_a_replaced_file_stay(tmp_path):
    path = tmp_path / "x"
    ad.save(1, path)
    path.chmod(0o640)
    ad.save(2, path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_streams(tmp_path):
    stream = io.BytesIO()
    ad.save({"x": ad.arange(3), "n": 2}, stream)
    content = stream.getvalue()
    found = ad.load(io.BytesIO(content), map_location=ad.device("cpu"))
    assert (found["x"].tolist(), found["n"]) == ([0, 1, 2], 2)
    with open(tmp_path / "x", "wb") as file:
        ad.save([ad.ones(1)], file)
    with open(tmp_path / "x", "rb") as file:
        assert ad.load(file)[0].tolist() == [1.0]
    for damaged in (b"", content[:50], content[:-8]):
        with pytest.raises(CheckpointError, match="damaged"):
            ad.load(io.BytesIO(damaged))


def test_load_takes_the_arguments_of_pytorch(tmp_path):
    path = tmp_path / "x"
    ad.save({"x": ad.ones(1)}, path)
    for where in (None, "cpu", ad.device("cpu"), {"cuda:0": "cpu"}, lambda x, _: x):
        found = ad.load(path, map_location=where, weights_only=True)
        assert found["x"].tolist() == [1.0]
    with pytest.raises(BackendError, match="cuda"):
        ad.load(path, map_location="cuda")
    with pytest.raises(TypeError, match=r"a Linear; .* likely fix: .state_dict"):
        ad.save(ad.nn.Linear(1, 1), path)


def _pickles():
    return {
        "zip": b"PK\x03\x04" + bytes(100),
        "torch before 1.6": pickle.dumps(0x1950A86A20F9469CFC6C, 2) + bytes(100),
        "pickle": pickle.dumps({"x": [1.0] * 20}),
    }


@pytest.mark.parametrize("kind", sorted(_pickles()))
def test_files_of_pytorch_are_called_so(kind, tmp_path):
    path = tmp_path / "t.pt"
    path.write_bytes(_pickles()[kind])
    for source in (path, io.BytesIO(path.read_bytes())):
        with pytest.raises(CheckpointError, match="is a PyTorch file") as caught:
            ad.load(source)
        assert "safetensors.torch.save_file(torch.load(" in str(caught.value)
        assert "damaged" not in str(caught.value)


def test_a_header_that_begins_like_a_pickle_is_read(tmp_path):
    """The length of a header, 640 bytes here, is a file's beginning."""
    path = tmp_path / "x.safetensors"
    for filling in range(640):
        ad.save({"x": ad.ones(1)}, path, {"filling": "x" * filling})
        if path.read_bytes()[:2] == b"\x80\x02":
            break
    assert path.read_bytes()[:2] == b"\x80\x02"
    assert ad.load(path)["x"].tolist() == [1.0]


def test_folders_and_absent_folders_are_named(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder; expected a file"):
        ad.load(tmp_path)
    with pytest.raises(
        IsADirectoryError, match=f"can't write '{tmp_path}': it is a fo"
    ):
        ad.save(ad.ones(1), tmp_path)
    path = tmp_path / "none" / "x.pt"
    with pytest.raises(FileNotFoundError) as caught:
        ad.save(ad.ones(1), path)
    assert str(caught.value) == (
        f"can't write '{path}': there is no folder '{path.parent}'"
    )


def test_a_file_that_the_system_refuses_is_named(tmp_path, monkeypatch):
    def refuse(dir, prefix):
        raise PermissionError(errno.EACCES, "Permission denied", prefix)

    monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    path = tmp_path / "x"
    with pytest.raises(PermissionError, match="x") as caught:
        ad.save(ad.ones(1), path)
    assert caught.value.filename == str(path)


def test_errors_stand_at_top_level():
    for name in errors.__all__:
        assert getattr(ad, name) is getattr(errors, name)


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    file, link = tmp_path / "real.safetensors", tmp_path / "link.safetensors"
    ad.save(1, file)
    link.symlink_to(file.name)
    ad.save(2, link)
    assert link.is_symlink()
    assert ad.load(file) == 2


def test_a_pipe_is_written_to_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    ad.save({"x": ad.ones(2)}, pipe)
    content = io.BytesIO(os.read(reading, 1 << 16))
    os.close(reading)
    assert pipe.is_fifo()
    assert ad.load(content)["x"].tolist() == [1.0, 1.0]


def _write(path, **tensors):
    """A safetensors file of (element type, shape, array), as other programs write it."""
    header, content = {}, b""
    for name, (kind, shape, array) in tensors.items():
        end = len(content) + array.nbytes
        header[name] = {
            "dtype": kind,
            "shape": shape,
            "data_offsets": [len(content), end],
        }
        content += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)


@pytest.mark.parametrize("streamed", [False, True])
def test_halves_of_other_programs_become_float32(streamed, tmp_path):
    values = [1.0, -2.5, 65504.0, math.inf]
    half = np.array(values, np.float16)
    # bfloat16: the upper two bytes of a float32
    brain = np.array([1.0, -2.5, 3e38, math.nan], np.float32).view(np.uint16)[1::2]
    path = tmp_path / "x.safetensors"
    _write(path, half=("F16", [2, 2], half), brain=("BF16", [4], brain))
    found = ad.load(io.BytesIO(path.read_bytes()) if streamed else path)
    assert found["half"].dtype is found["brain"].dtype is ad.float32
    assert found["half"].flatten().tolist() == values
    assert found["brain"].tolist()[:2] == [1.0, -2.5]
    assert abs(found["brain"][2].item() / 3e38 - 1) < 0.01
    assert math.isnan(found["brain"][3].item())


@pytest.mark.parametrize("streamed", [False, True])
def test_elements_that_there_are_not_are_named(streamed, tmp_path):
    path = tmp_path / "x.safetensors"
    _write(path, x=("U16", [1], np.ones(1, np.uint16)))
    with pytest.raises(CheckpointError, match=r"'x' in .* has elements of U16"):
        ad.load(io.BytesIO(path.read_bytes()) if streamed else path)


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_files_of_numpy_are_called_so(name, tmp_path):
    path = tmp_path / name
    save = np.save if name == "x.npy" else np.savez
    save(path, np.ones(2))
    for file in (path, io.BytesIO(path.read_bytes())):
        with pytest.raises(CheckpointError, match="is a file of NumPy; likely fix"):
            ad.load(file)
