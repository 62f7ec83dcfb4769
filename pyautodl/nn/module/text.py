"""How a module is printed."""

from __future__ import annotations

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


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")
