"""All that the API needs of this room, in one hand."""

from dataclasses import dataclass, field
from typing import Protocol

from alerts.control.bank import BankReads
from alerts.control.commands import AnswerWatch
from alerts.control.letters import DeadLetterDesk
from alerts.control.thumbnail import Thumbnails
from alerts.database.last_seen import LastSeenStore
from alerts.database.order_store import OrderStore
from alerts.database.user_store import UserStore
from steadyline.contracts.model_command import ModelCommand


class OrderSender(Protocol):
    """Writes orders to their topic."""

    def send(self, command: ModelCommand) -> int:
        """Return an offset that is at most the order's; raises BrokerUnavailable when it may not be there."""
        ...


@dataclass(frozen=True, slots=True)
class ControlDesk:
    """What is seen of the line, and what may be ordered of it."""

    sender: OrderSender
    watch: AnswerWatch
    bank: BankReads
    letters: DeadLetterDesk
    thumbnails: Thumbnails
    seen: LastSeenStore = field(default_factory=LastSeenStore)
    orders: OrderStore = field(default_factory=OrderStore)
    users: UserStore = field(default_factory=UserStore)
