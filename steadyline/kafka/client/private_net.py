"""The connections of kafka-python 3.0.12, made so that they say why they fail and never wait for ever.

A client is given them by its public option ``kafka_client``; the methods overridden here are private. The
version is pinned, and ``tests/contract/kafka/test_tls_refusals.py`` fails when one of them is gone.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from kafka.errors import KafkaConnectionError, KafkaTimeoutError
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import create_connection
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport
from typing_extensions import override

from steadyline.kafka.client.refusal import EdgeRefused, IssuerUnavailable, last_words, refusal_of
from steadyline.telemetry.logs import get_logger

T = TypeVar("T")

log = get_logger(__name__)

HANDSHAKE_SECONDS = 5.0


class _WholeAnswers:
    """Hands on what came before the end of a connection.

    Defect: the client drops it when both are read at once, and so drops why a broker refuses a login: it
    answers, and hangs up.
    """

    def _sock_recv(self) -> tuple[bytes, Any]:
        client: Any = super()
        read, error = client._sock_recv()
        return read, None if read else error  # the end is met again at the next reading


class WholeTransport(_WholeAnswers, KafkaTCPTransport):
    """A connection in clear."""


class WholeTLSTransport(_WholeAnswers, KafkaSSLTransport):
    """A connection by TLS; authorities, certificate and key are read for each one."""


class TellingManager(KafkaConnectionManager):
    """The connections of one client, which remembers why the last ones failed.

    Defect: whatever is wrong with a password or a certificate, the client goes on until its time is over and
    then says that it is. A refusal by each of the bootstrap servers ends that at once, with the reason.
    Defect: a TLS handshake that is never answered is waited for without a limit.
    Defect: a certificate that cannot be read leaves the client as an error that is none of its own.
    """

    _net: Any

    def __init__(self, net: Any, **configs: Any) -> None:
        super().__init__(net, **configs)
        self._refusals: dict[Any, EdgeRefused | IssuerUnavailable] = {}
        self._last_words = ""
        self._has_connected = False

    async def _do_bootstrap(self, deadline: float | None) -> Any:
        client: Any = super()
        try:
            return await client._do_bootstrap(deadline)
        except KafkaTimeoutError as error:
            for refusal in self._refusals.values():
                raise refusal from error
            said = f"; the last attempt: {self._last_words}" if self._last_words else ""
            raise KafkaTimeoutError(f"{error.args[0]}{said}") from error

    @override
    def get_connection(self, node_id: Any, *arguments: Any, **named: Any) -> Any:
        if not self._has_connected and self.cluster.is_bootstrap(node_id):
            self._raise_what_nobody_mends()
        return super().get_connection(node_id, *arguments, **named)

    async def _connect(self, node: Any, conn: Any, *arguments: Any, **named: Any) -> None:
        client: Any = super()
        await client._connect(node, conn, *arguments, **named)
        made = conn.init_future
        if made.succeeded():
            self._has_connected, self._last_words = True, ""
            self._refusals.clear()
        elif made.failed():
            self._last_words = last_words(made.exception)
            refusal = refusal_of(made.exception, self.config)
            if refusal is not None:
                self._say(refusal)
                self._refusals[node.node_id] = refusal

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        client: Any = super()
        if self.config["security_protocol"] == "PLAINTEXT":
            return await client._build_transport(node, timeout_at=timeout_at)
        connect: Any = create_connection
        made = await connect(
            self._net, node.host, node.port, self.config["socket_options"], timeout_at=timeout_at
        )
        seconds = HANDSHAKE_SECONDS if timeout_at is None else max(0.0, timeout_at - time.monotonic())
        try:
            transport = self._transport(made, node.host)
        except (OSError, ValueError) as error:
            made.close()
            raise KafkaConnectionError(f"the certificate or its key cannot be used: {error}") from error
        try:
            await client.wait_for(self.call_soon(transport.handshake), min(HANDSHAKE_SECONDS, seconds) * 1000)
        except KafkaTimeoutError as error:
            transport.close()
            raise KafkaConnectionError(f"no TLS handshake with {node.host}:{node.port} in time") from error
        except (OSError, ValueError) as error:
            transport.close()
            refusal = refusal_of(error, self.config)
            told = error if refusal is None else refusal.args[0]
            raise KafkaConnectionError(f"no TLS with {node.host}:{node.port}: {told}") from error
        return transport

    def _transport(self, made: Any, host: str) -> Any:
        if not self.ssl_enabled:
            return WholeTransport(self._net, made, host=host)
        options = {name: value for name, value in self.config.items() if name.startswith("ssl_")}
        return WholeTLSTransport(self._net, made, host=host, **options)

    def _say(self, refusal: EdgeRefused | IssuerUnavailable) -> None:
        """Log what a client that runs already would only be slow by, once until it is let in again."""
        if self._has_connected and refusal.args not in [item.args for item in self._refusals.values()]:
            log.error("kafka_refused", client=self.config["client_id"], error=str(refusal.args[0]))

    def _raise_what_nobody_mends(self) -> None:
        """Raise the refusal of every bootstrap server, or that of the one issuer."""
        for refusal in self._refusals.values():
            is_of_all = len(self._refusals) >= len(self.cluster.bootstrap_brokers())
            if is_of_all or isinstance(refusal, IssuerUnavailable):
                raise refusal


class TellingClient(KafkaNetClient):
    """What a consumer, a producer or an administrator is given as its ``kafka_client``."""

    def __init__(self, **configs: Any) -> None:
        net = NetworkSelector(**configs)
        super().__init__(net, TellingManager(net, **configs), **configs)


def opened(kind: Callable[..., T], **options: Any) -> T:
    """Return a consumer, a producer or an administrator; raises what it raises.

    Defect: one that cannot be made leaves its thread and its sockets, each time that it is tried again.
    """
    made: list[TellingClient] = []

    def client(**configs: Any) -> TellingClient:
        made.append(TellingClient(**configs))
        return made[-1]

    try:
        return kind(**options, kafka_client=client)
    except BaseException:
        for item in made:
            close: Any = item.close
            close()
        raise
