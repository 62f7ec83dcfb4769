"""How a module is printed, and shown in a notebook."""

from __future__ import annotations

from typing import Any

from pyautodl.nn.module.members import Members

__all__ = ["Text"]


class Text(Members):
    """Prints a module as a tree of its submodules."""

    def extra_repr(self) -> str:
        """The arguments that the printed form of this layer shows."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [
            f"({name}): {_indented(repr(module))}"
            for name, module in self._modules.items()
        ]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({lines[0]})"
        body = lines + children
        if not body:
            return f"{self._get_name()}()"
        return f"{self._get_name()}(\n  " + "\n  ".join(body) + "\n)"

    def _repr_html_(self) -> str | None:
        """A tree to fold, with sizes, for notebooks; None if `__repr__` was redefined."""
        return _folded(self, "", depth=0) if _has_own_text(self) else None


def _has_own_text(module: Any) -> bool:
    """Whether a module prints as the library has it."""
    found = getattr(type(module).__repr__, "__module__", None)
    return str(found).startswith("pyautodl.nn.")


def _folded(module: Any, name: str, depth: int) -> str:
    """A module as HTML: one line, below it its parameters and submodules."""
    # kept from `import pyautodl`, which it would slow
    from html import escape

    if module is None or not _has_own_text(module):
        return f"<div>{escape(name)}<pre>{escape(repr(module))}</pre></div>"
    extra = escape(" ".join(module.extra_repr().split()))
    line = f"{escape(name)}<b>{escape(module._get_name())}</b>({extra}){_size(module)}"
    own = [
        f"<div><code>{escape(key)}</code> {_shape(value)}</div>"
        for key, value in (*module._parameters.items(), *module._buffers.items())
        if value is not None
    ]
    children = [
        _folded(child, f"{key}: ", depth + 1) for key, child in module._modules.items()
    ]
    if not own and not children:
        return f"<div>{line}</div>"
    # deeper levels, and parameters, are there to be opened
    state = " open" if children and depth < 2 else ""
    body = "".join([*own, *children])
    return (
        f"<details{state}><summary>{line}</summary>"
        f'<div style="margin-left: 1.5em">{body}</div></details>'
    )


def _size(module: Any) -> str:
    """How many parameters there are, and how many of them are not trained."""
    sizes = [(each.numel(), each.requires_grad) for each in module.parameters()]
    if not sizes:
        return ""
    frozen = sum(size for size, trained in sizes if not trained)
    text = f" {sum(size for size, _ in sizes):,} parameters"
    return f"{text}, {frozen:,} frozen" if frozen else text


def _shape(tensor: Any) -> str:
    return f"{tuple(tensor.shape)} {tensor.dtype.name}"


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")
