"""Publishing orders to the trainer, by operators and by services."""

from datetime import timedelta

from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.topics import Topic
from steadyline.errors import BrokerUnavailable
from steadyline.kafka.broker import Broker, Message, Partition

# The publisher gives an order up before we stop waiting for it: what was refused here is not written later.
PATIENCE = timedelta(seconds=15)
SENT_WITHIN = PATIENCE + timedelta(seconds=5)
BYTES_IN_FLIGHT = 1 << 20


class CommandPublisher:
    """Writes commands to ``topic`` on behalf of ``line`` until ``close``; opens one connection for all.

    Raises BrokerUnavailable when the broker is away at the start.
    """

    def __init__(self, broker: Broker, topic: Topic, line: str, client: str) -> None:
        self._broker, self._topic, self._line = broker, topic.name, line
        self._publisher = broker.publisher(client, BYTES_IN_FLIGHT, PATIENCE)

    def send(self, command: ModelCommand) -> int:
        """Write a command and wait until the broker has it; returns an offset that is at most its own.

        The command is answered by an event whose ``commands_until`` is greater. Raises BrokerUnavailable
        when the broker does not acknowledge it; it may have it all the same.
        """
        offset = self._broker.end_offsets([self._topic]).get(Partition(self._topic, 0), 0)
        headers = command.headers(self._line, command.product, command.at)
        message = Message(self._topic, command.product.encode(), command.encode(), headers)
        outcome: list[Exception | None] = []
        self._publisher.publish(message, outcome.append)
        if not self._publisher.flush(SENT_WITHIN) or outcome != [None]:
            raise BrokerUnavailable(f"the order was not written to {self._topic}: {outcome}")
        return offset

    def close(self) -> None:
        """Never hangs."""
        self._publisher.close()
