"""The account's positions beside what strategies hold of them, and giving one to a strategy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.messages import AdoptPosition, FlattenAnswer, FlattenPosition, GuardSnapshot, PositionAdopted, PositionsRead
from core.model.broker import BrokerPosition
from core.model.order import Product, Source
from core.model.positions import GuardLine
from core.web.gateway import Gateway, Unanswered
from core.web.schemas import AdoptRequest, FlattenRequest

__all__ = ["Line", "adopt", "lines_of", "positions_told"]

_ADOPT_LIMIT_S = 10.0


@dataclass(slots=True)
class Line:
    """One symbol and product of the account: the broker's row, and what strategies hold of it."""

    exchange: str
    symbol: str
    product: Product | None
    broker: BrokerPosition | None = None
    guard: list[GuardLine] = field(default_factory=list)
    unattributed: int | None = None
    """What the broker shows and no strategy here made; None while its figure may be older than our last fill."""

    @property
    def net(self) -> int:
        """What the broker shows."""
        return self.broker.net_quantity if self.broker is not None else 0

    @property
    def held(self) -> int:
        """What strategies hold together, by their fills."""
        return sum(line.held for line in self.guard)

    @property
    def opened(self) -> int:
        """What EXITs opened of it: it can be flattened."""
        return sum(line.held for line in self.guard if line.unintended)

    @property
    def exitable(self) -> list[GuardLine]:
        """The strategies whose holding a square-off would exit: never what was bought for delivery.

        Two that hold opposite ways are both there, although together they hold nothing.
        """
        return [line for line in self.guard if line.held and not line.stays]


def lines_of(positions: PositionsRead | None, guard: GuardSnapshot | None) -> list[Line]:
    """Broker and guard side by side; what is flat on both sides stays if it realised something today."""
    lines: dict[tuple[str, str, Product | None], Line] = {}
    for position in positions.positions if positions is not None else ():
        key = (position.exchange, position.symbol, position.product)
        lines.setdefault(key, Line(*key)).broker = position
    for held in guard.lines if guard is not None else ():
        key = (held.exchange, held.symbol, held.product)
        lines.setdefault(key, Line(*key)).guard.append(held)
    if guard is not None and guard.reconciled_at is not None:
        for line in lines.values():
            line.unattributed = _unattributed(line, guard)
    return sorted(lines.values(), key=lambda line: (line.exchange, line.symbol, line.product or ""))


def _unattributed(line: Line, guard: GuardSnapshot) -> int | None:
    # The guard compares a read with what was held when it was asked for; two answers of now may not belong together.
    place = (line.exchange, line.symbol, line.product)
    known = [one.unattributed for one in guard.differences if (one.exchange, one.symbol, one.product) == place]
    if line.product is None:
        return line.net
    told = sum(known)
    return told if place[:2] not in guard.unsettled or told == line.net - line.held else None


def positions_told(positions: PositionsRead, guard: GuardSnapshot | None) -> dict[str, Any]:
    """Each symbol and product: the broker's figures, each strategy's share, and what is nobody's."""
    return {
        "positions": [_told(line) for line in lines_of(positions, guard)],
        "read_at": positions.read_at,
        "reconciled_at": guard.reconciled_at if guard is not None else None,
    }


def _told(line: Line) -> dict[str, Any]:
    broker = line.broker
    return {
        "exchange": line.exchange,
        "symbol": line.symbol,
        "product": line.product,
        "net_quantity": line.net,
        "average_price": broker.average_price if broker else None,
        "last_price": broker.last_price if broker else None,
        "realised": broker.realised if broker else None,
        "unrealised": broker.unrealised if broker else None,
        "strategies": [
            {
                "strategy": held.strategy,
                "held": held.held,
                "reserved": held.reserved,
                "unintended": held.unintended,
            }
            for held in line.guard
        ],
        "unattributed": line.unattributed,
    }


async def flatten(gateway: Gateway, wanted: FlattenRequest, source: Source) -> FlattenAnswer:
    """Close what EXITs opened in a position, and nothing else.

    Raises:
        Unanswered: It is not known whether anything was sent.
    """
    found = await gateway.ask(
        gateway.execution_guard,
        lambda name: FlattenPosition(wanted.exchange, wanted.symbol, wanted.product, wanted.quantity, source, name),
        _ADOPT_LIMIT_S,
    )
    if not isinstance(found, FlattenAnswer):
        raise Unanswered(f"a flatten was answered with {type(found).__name__}")
    return found


async def adopt(gateway: Gateway, wanted: AdoptRequest) -> PositionAdopted:
    """Give a position, or a part, to a strategy, or write off what the broker does not have.

    Raises:
        Unanswered: It is not known whether it was recorded.
    """
    found = await gateway.ask(
        gateway.execution_guard,
        lambda name: AdoptPosition(
            strategy=wanted.strategy,
            exchange=wanted.exchange,
            symbol=wanted.symbol,
            product=wanted.product,
            quantity=wanted.quantity,
            write_off=wanted.write_off,
            by=wanted.by,
            reply_to=name,
        ),
        _ADOPT_LIMIT_S,
    )
    if not isinstance(found, PositionAdopted):
        raise Unanswered(f"an adoption was answered with {type(found).__name__}")
    return found
