"""detect_anomaly: where in the forward did the nan of the backward come from."""

from __future__ import annotations

from types import TracebackType

from pyautodl.graph import MODE

__all__ = ["detect_anomaly", "set_detect_anomaly"]


class set_detect_anomaly:
    """Switch anomaly detection of this thread on or off; also a context manager.

    Args:
        mode: on or off.
        check_nan: raise when a backward step gives a nan.

    Example:
        >>> import pyautodl as ad
        >>> with ad.autograd.set_detect_anomaly(True):
        ...     x = ad.ones(2, requires_grad=True)
        ...     x.sum().backward()
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = (MODE.anomaly, MODE.check_nan)
        MODE.anomaly, MODE.check_nan = mode, check_nan

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        MODE.anomaly, MODE.check_nan = self._before


class detect_anomaly:
    """Let an error in backward show the layer and the line of the forward call.

    A backward step that gives a nan raises. Every recorded call keeps its stack, which
    is slow: for the search alone.

    Args:
        check_nan: raise when a backward step gives a nan.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.tensor([-1.0], requires_grad=True)
        >>> with ad.autograd.detect_anomaly():
        ...     try:
        ...         x.sqrt().sum().backward()
        ...     except ad.GradError as error:
        ...         print(str(error).splitlines()[0])
        sqrt: the gradient of input 0 is nan
    """

    def __init__(self, check_nan: bool = True) -> None:
        self._check_nan = check_nan

    def __enter__(self) -> None:
        self._before = (MODE.anomaly, MODE.check_nan)
        MODE.anomaly, MODE.check_nan = True, self._check_nan

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        MODE.anomaly, MODE.check_nan = self._before
