"""Models as ONNX files, for other programs to run: `export`. Needs `pip install onnx`."""

from pyautodl.onnx.writer import export

__all__ = ["export"]
