"""Saving and loading nested values."""

import io
import math

import numpy as np
import pytest

import pyautodl as ad
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
