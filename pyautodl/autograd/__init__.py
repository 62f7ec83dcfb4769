"""Automatic differentiation: switches, gradients of functions, own ops, checks."""

from pyautodl.autograd import functional
from pyautodl.autograd.anomaly import detect_anomaly, set_detect_anomaly
from pyautodl.autograd.function import Function
from pyautodl.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from pyautodl.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from pyautodl.autograd.gradients import backward, grad
from pyautodl.tensor import Tensor as Variable

__all__ = [
    "Function",
    "GradcheckError",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]
