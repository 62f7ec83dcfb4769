"""An optimizer's step once more, by C: its kernel calls, prepared for tables that stay.

While parameters and states are the same arrays, and the gradients are laid out as before,
a step differs from the last one by the gradients' addresses alone. C looks whether that is
so and runs the calls (csrc/dispatch/step.c); for all else Python takes the step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pyautodl.backends import Array, KeptCalls, Storage, Table, is_direct, native
from pyautodl.backends.codes import GIVEN

__all__ = ["Again", "KernelStep"]

# of a state its dict, its name there, and its array
Place = tuple[dict[str, Any], str, Array]


class KernelStep(NamedTuple):
    """One call of a kernel in a step.

    Attributes:
        kernel: its name.
        numbers: which of the gradients it reads.
        grads: these.
        buffer: what it reads besides.
        written: its tables of parameters and states, None where one is absent.
        flags: its integers.
    """

    kernel: str
    numbers: Sequence[int]
    grads: Sequence[Array]
    buffer: Array
    written: Sequence[Table | None]
    flags: Sequence[int]

    def is_direct(self) -> bool:
        """Whether it is the extension's that runs now, and nobody observes it."""
        codes = native.kernels.get(self.kernel, ())
        return self.grads[0].dtype.code in codes and is_direct()

    def prepared(self) -> tuple[Any, ...]:
        """The call as `dispatch.repeat_step` takes it."""
        tables = [None if each is None else each.desc() for each in self.written]
        # a descriptor begins with the address
        layouts = [None if each is None else each[8:] for each in tables]
        reads: list[Any] = [
            [each.layout() for each in self.grads],
            self.buffer.layout(),
        ]
        nbytes = [None if each is None else GIVEN for each in tables]
        call = native.prepare(self.kernel, reads + layouts, nbytes, self.flags, ())
        others = [self.buffer.desc(), *[each for each in tables if each is not None]]
        addresses = b"".join([each[:8] for each in others])
        kept = (call, self.buffer, self.written)
        address = native.prepared_address(call)
        return self.kernel, address, tuple(self.numbers), addresses, kept


class Again:
    """The calls of a step, to run while all lies as it did.

    Args:
        key: each parameter's array and the layout of its gradient.
        places: where the states were found.
        calls: those of the kernels.
        storages: of what they change.
    """

    __slots__ = ("_last",)

    def __init__(
        self,
        key: Sequence[Any],
        places: Iterable[Place],
        calls: Iterable[KernelStep],
        storages: Iterable[Storage],
    ) -> None:
        prepared = tuple([each.prepared() for each in calls])
        self._last = KeptCalls(1)
        self._last.keep("step", (tuple(key), tuple(places), prepared, tuple(storages)))

    def take(self, params: Sequence[Any]) -> bool:
        """Take the step; False, and nothing is done, where something is not as it was."""
        last = self._last.get("step")
        if last is None:
            return False
        taken: bool = native.dispatch.repeat_step(params, *last)
        return taken
