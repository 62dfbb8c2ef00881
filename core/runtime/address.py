"""What one actor holds of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from core.messages.base import Message

if TYPE_CHECKING:
    from core.runtime.runtime import Runtime

__all__ = ["Address"]

M_contra = TypeVar("M_contra", bound=Message, contravariant=True)


class Address(Generic[M_contra]):
    """The name of an actor, and the messages it understands.

    Equal to any address of the same name. It outlives its actor: telling to a name nobody bears is a dead letter.
    """

    __slots__ = ("_runtime", "name")

    def __init__(self, name: str, runtime: Runtime) -> None:
        self.name = name
        self._runtime = runtime

    def tell(self, message: M_contra) -> bool:
        """Send from outside the actors; inside an actor use `Actor.tell`.

        Never raises. A refusal (full, closed, dead, unknown) becomes a dead letter, and the answer is False.
        """
        return self._runtime.tell(self.name, message)

    def __eq__(self, other: object) -> bool:
        return self.name == other.name if isinstance(other, Address) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<Address {self.name}>"
