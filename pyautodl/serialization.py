"""`save` and `load`: nested values in one safetensors file, without pickle.

The tensors are the file's tensors; a JSON tree in its metadata says where each belongs
and holds all other values. So a file can't run code, and other programs read its
tensors.
"""

from __future__ import annotations

import io
import json
import math
import os
from typing import IO, Any

import numpy as np

from pyautodl._files import atomic_write
from pyautodl._version import __version__
from pyautodl.backends.dtypes import as_dtype
from pyautodl.errors import CheckpointError
from pyautodl.functional.creation import tensor
from pyautodl.tensor import Tensor, device

__all__ = ["load", "read_metadata", "save", "save_tensors"]

_TREE = "pyautodl.tree"
_VERSION = "pyautodl.version"
_ZIP = b"PK\x03\x04"
_NUMPY = b"\x93NUM"
# element types of other programs' files that become float32, which holds their values
_HALVES = ("F16", "BF16")
# all others, as the format calls them and as NumPy does
_DTYPES = {
    "F32": "<f4",
    "F64": "<f8",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
# protocol 2 to 5: of torch.save before its version 1.6, and of pickle.dump
_PICKLES = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))


def save(
    obj: Any,
    f: str | os.PathLike[str] | IO[bytes],
    metadata: dict[str, str] | None = None,
) -> None:
    """Save nested dicts, lists and tuples of tensors and plain values.

    A file is written beside its place and renamed, so that a crash leaves the old one; a
    link stays, and what it leads to is replaced. The hidden file that a killed process
    leaves is removed when the same path is saved again.

    Args:
        obj: what to save: a state_dict, or anything made of dicts, lists, tuples,
            tensors, arrays, numbers, strings, bools and None.
        f: the path of the file, or what has `write`.
        metadata: further entries of the file's metadata, for other programs.

    Raises:
        TypeError: a value of another kind; names where it stands.
        OSError: the file can't be written.

    Example:
        >>> import os, tempfile
        >>> import pyautodl as ad
        >>> path = os.path.join(tempfile.mkdtemp(), "x.safetensors")
        >>> ad.save({"x": ad.ones(2), "epoch": 3}, path)
        >>> ad.load(path)
        {'x': tensor([1., 1.]), 'epoch': 3}
    """
    from safetensors.numpy import save as to_bytes

    tensors: dict[str, np.ndarray[Any, Any]] = {}
    tree = json.dumps(_encode(obj, "", tensors))
    entries = {**(metadata or {}), _TREE: tree, _VERSION: __version__}
    content = to_bytes(tensors, entries)
    if isinstance(f, (str, os.PathLike)):
        atomic_write(f, content)
    else:
        f.write(content)


def save_tensors(
    tensors: dict[str, Tensor], f: str | os.PathLike[str], metadata: dict[str, str]
) -> None:
    """Save named tensors as a plain safetensors file with the given metadata.

    Raises:
        OSError: the file can't be written.
    """
    from safetensors.numpy import save as to_bytes

    arrays = {name: _contiguous(value) for name, value in tensors.items()}
    atomic_write(f, to_bytes(arrays, metadata))


def load(
    f: str | os.PathLike[str] | IO[bytes],
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
) -> Any:
    """Load what `save` has saved; of another program's file a dict of its tensors.

    Elements of float16 and bfloat16, which other programs save, become float32.

    Args:
        f: the path of the file, or what has `read`.
        map_location: where the tensors shall be: 'cpu' or None; functions and dicts, by
            which PyTorch maps devices, are without effect, as there is one.
        pickle_module, weights_only, mmap: without effect: files hold no code.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
        CheckpointError: the file is damaged or is no safetensors file.

    Example:
        >>> import io
        >>> import pyautodl as ad
        >>> file = io.BytesIO()
        >>> ad.save([1, ad.ones(2)], file)
        >>> _ = file.seek(0)
        >>> ad.load(file, map_location="cpu")
        [1, tensor([1., 1.])]
    """
    if isinstance(map_location, (str, device)):
        device(map_location)
    if isinstance(f, (str, os.PathLike)):
        path = os.fspath(f)
        entries, arrays = _read(path, with_tensors=True)
    else:
        path = str(getattr(f, "name", "the stream"))
        entries, arrays = _parse(f.read(), path)
    try:
        tree = json.loads(entries[_TREE]) if _TREE in entries else None
    except ValueError as error:
        raise CheckpointError(
            f"load: the tree in {path!r} is damaged ({error})"
        ) from error
    tensors = {key: tensor(array) for key, array in arrays.items()}
    if tree is None:
        return tensors
    try:
        return _decode(tree, tensors)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"load: the tree in {path!r} is damaged ({error})"
        ) from error


def read_metadata(f: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata of a safetensors file.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is damaged or is no safetensors file.
    """
    return _read(os.fspath(f), with_tensors=False)[0]


def _read(
    path: str, with_tensors: bool
) -> tuple[dict[str, str], dict[str, np.ndarray[Any, Any]]]:
    """Metadata and tensors of a file."""
    from safetensors import SafetensorError, safe_open

    if not os.path.exists(path):
        raise FileNotFoundError(f"load: there is no file {path!r}")
    if os.path.isdir(path):
        raise IsADirectoryError(f"load: {path!r} is a folder; expected a file")
    try:
        with safe_open(path, framework="numpy") as file, open(path, "rb") as stream:
            metadata = dict(file.metadata() or {})
            return metadata, _tensors(stream, path) if with_tensors else {}
    except (SafetensorError, OSError) as error:
        with open(path, "rb") as opened:
            raise _unreadable(path, opened, error) from error


def _parse(
    content: bytes, name: str
) -> tuple[dict[str, str], dict[str, np.ndarray[Any, Any]]]:
    """Metadata and tensors of a file's bytes."""
    from safetensors import SafetensorError, deserialize

    stream = io.BytesIO(content)
    try:
        # it checks that the file is whole
        deserialize(content)
        return _header(stream)[0].get("__metadata__") or {}, _tensors(stream, name)
    except (SafetensorError, ValueError) as error:
        raise _unreadable(name, stream, error) from error


def _header(stream: IO[bytes]) -> tuple[dict[str, Any], int]:
    """The header of a file that is known to be whole, and where it ends."""
    stream.seek(0)
    size = int.from_bytes(stream.read(8), "little")
    return json.loads(stream.read(size)), 8 + size


def _tensors(stream: IO[bytes], name: str) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors of a file that is known to be whole."""
    header, base = _header(stream)
    header.pop("__metadata__", None)
    found = {}
    for key, entry in header.items():
        if entry["dtype"] not in (*_DTYPES, *_HALVES):
            raise CheckpointError(
                f"load: {key!r} in {name!r} has elements of {entry['dtype']}; expected "
                f"{', '.join((*_DTYPES, *_HALVES))}; likely fix: convert it where it was made"
            )
        begin, end = entry["data_offsets"]
        stream.seek(base + begin)
        found[key] = _elements(stream.read(end - begin), entry["dtype"]).reshape(
            entry["shape"]
        )
    return found


def _elements(content: bytes, kind: str) -> np.ndarray[Any, Any]:
    if kind == "BF16":
        # the upper half of a float32
        words = np.frombuffer(content, "<u2").astype(np.uint32) << np.uint32(16)
        return words.view(np.float32)
    if kind == "F16":
        return np.frombuffer(content, "<f2").astype(np.float32)
    return np.frombuffer(content, _DTYPES[kind])


def _unreadable(name: str, stream: IO[bytes], error: Exception) -> CheckpointError:
    """The error for what is no safetensors file, from what it holds."""
    stream.seek(0)
    begin = stream.read(len(_ZIP))
    if begin == _NUMPY or (begin == _ZIP and _is_npz(stream)):
        return CheckpointError(
            f"load: {name!r} is a file of NumPy; likely fix: np.load({name!r}), of which "
            "ad.tensor and load_state_dict take the arrays"
        )
    if not begin.startswith((_ZIP, *_PICKLES)):
        return CheckpointError(
            f"load: {name!r} is damaged or is no safetensors file ({error})"
        )
    return CheckpointError(
        f"load: {name!r} is a PyTorch file (zip and pickle), or another pickle, which can "
        "run code and is not read here; likely fix, where torch is installed: "
        f"safetensors.torch.save_file(torch.load({name!r}), 'x.safetensors') for a file "
        "that holds a state_dict, then load that"
    )


def _is_npz(stream: IO[bytes]) -> bool:
    """Whether all that a zip archive holds are arrays of NumPy."""
    import zipfile

    try:
        names = zipfile.ZipFile(stream).namelist()
    except zipfile.BadZipFile:
        return False
    return bool(names) and all(each.endswith(".npy") for each in names)


def _encode(value: Any, path: str, tensors: dict[str, np.ndarray[Any, Any]]) -> Any:
    """A value as JSON: plain ones as they are, others as {kind: content}."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        name = path or "value"
        while name in tensors:  # {"a.b": x, "a": {"b": y}}
            name += "'"
        tensors[name] = _contiguous(value)
        return {"tensor": name}
    if isinstance(value, (list, tuple)):
        items = [
            _encode(v, f"{path}.{i}" if path else str(i), tensors)
            for i, v in enumerate(value)
        ]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, dict):
        pairs = [
            [
                _key(key, path),
                _encode(v, f"{path}.{key}" if path else str(key), tensors),
            ]
            for key, v in value.items()
        ]
        return {"dict": pairs}
    raise TypeError(
        f"save: {path or 'the value'} is a {type(value).__name__}; expected tensors, "
        "numbers, strings, None, or dicts, lists and tuples of them"
        + ("; likely fix: .state_dict()" if hasattr(value, "state_dict") else "")
    )


def _key(key: Any, path: str) -> Any:
    if isinstance(key, (str, int)):
        return key
    raise TypeError(
        f"save: a key of {path or 'the value'} is {key!r}; expected str or int"
    )


def _contiguous(value: Any) -> np.ndarray[Any, Any]:
    """The values in C order: the format stores bytes and knows no strides."""
    array = value._array.numpy() if isinstance(value, Tensor) else np.asarray(value)
    # the value's own axes: a lazy layer's parameter says that it has none yet
    array = np.array(array, order="C", ndmin=value.ndim)
    as_dtype(array.dtype)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _decode(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(tree, list):
        return [_decode(each, tensors) for each in tree]
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "float":
        return float(content)
    if kind == "tuple":
        return tuple(_decode(each, tensors) for each in content)
    if kind == "dict":
        return {key: _decode(value, tensors) for key, value in content}
    raise ValueError(f"unknown kind {kind!r}")
