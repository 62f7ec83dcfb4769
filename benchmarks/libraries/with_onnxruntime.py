"""onnxruntime: inference of a file that torch.onnx has written."""

from __future__ import annotations

import io
import logging
import warnings

import numpy as np

from benchmarks.libraries import eager
from benchmarks.work import Inference, Prepared, Unsupported, Work

__all__ = ["OnnxRuntime", "onnxruntime"]


class OnnxRuntime:
    """A session of onnxruntime on the CPU with all its optimisations."""

    def __init__(self, threads: int) -> None:
        import onnxruntime as package

        self.package = package
        self.torch = eager.torch(1, None)
        self.threads = threads
        self.versions = {"onnxruntime": package.__version__, **self.torch.versions}

    def prepare(self, work: Work) -> Prepared:
        """Make the call; see `Library`."""
        if not isinstance(work, Inference):
            raise Unsupported("onnxruntime has inference alone")
        options = self.package.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        session = self.package.InferenceSession(
            self._file(work), options, providers=["CPUExecutionProvider"]
        )
        feed = {session.get_inputs()[0].name: work.x}
        last: list[list[np.ndarray]] = [[]]

        def call() -> None:
            last[0] = session.run(None, feed)

        return Prepared(call, lambda: last[0])

    def _file(self, work: Inference) -> bytes:
        torch = self.torch.root
        model = self.torch.model(work.build).eval()
        file = io.BytesIO()
        # it tells of operators of torchvision that no network here has
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            torch.onnx.export(
                model, (torch.tensor(work.x),), file, dynamo=True, verbose=False
            )
        return file.getvalue()


def onnxruntime(threads: int, capability: str | None) -> OnnxRuntime:
    """onnxruntime; nothing limits its instruction set."""
    if capability is not None:
        raise Unsupported(f"onnxruntime can't be limited to {capability}")
    return OnnxRuntime(threads)
