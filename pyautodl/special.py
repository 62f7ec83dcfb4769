"""Special functions under PyTorch's names."""

from pyautodl.functional.derived import logit, sinc
from pyautodl.functional.eltwise import (
    digamma,
    erf,
    erfc,
    erfinv,
    exp2,
    expm1,
    i0,
    lgamma,
    log1p,
    polygamma,
    round,
    xlogy,
)
from pyautodl.functional.eltwise import mvlgamma as multigammaln
from pyautodl.functional.eltwise import sigmoid as expit
from pyautodl.functional.eltwise.special import (
    entr,
    i0e,
    i1,
    i1e,
    ndtr,
    ndtri,
    xlog1py,
)
from pyautodl.functional.reduce import logsumexp
from pyautodl.functional.softmax import log_softmax, softmax

gammaln = lgamma
psi = digamma

__all__ = [
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfinv",
    "exp2",
    "expit",
    "expm1",
    "gammaln",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "log1p",
    "log_softmax",
    "logit",
    "logsumexp",
    "multigammaln",
    "ndtr",
    "ndtri",
    "polygamma",
    "psi",
    "round",
    "sinc",
    "softmax",
    "xlog1py",
    "xlogy",
]
