"""Triton Inference Server over gRPC; the only file that imports tritonclient."""

import itertools
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import tritonclient.grpc as grpcclient
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
from tritonclient.utils import InferenceServerException

from steadyline.errors import ContractBroken, InferenceUnavailable, InvalidConfiguration
from steadyline.inference import CERTIFIED_SCORE, HALVES, Floats, Inference, Inferred, ModelRef, Pixels
from steadyline.settings import TritonSettings
from steadyline.telemetry.logs import get_logger
from steadyline.triton_edge import TritonIdentity, hint, host_and_port, identity_of, speaks_http

__all__ = ["Inference", "Inferred", "ModelRef", "RepositoryEntry", "TritonClient", "parse_config"]

KEY_HEADER = "triton-grpc-protocol-admin-key"  # gRPC's form of the server's restricted ``admin-key``
MAX_MESSAGE_BYTES = 256 << 20
LOAD_WITHIN = timedelta(seconds=60)
_ASK_SECONDS = 5.0
_LOOK_SECONDS = 1.0  # between two looks at the certificates on the disk

# By default gRPC waits up to two minutes between attempts to reconnect, but a killed server is back in 0.3 s.
_CHANNEL = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
)
_OUTPUTS = [grpcclient.InferRequestedOutput(name) for name in ("score", "map")]
_CERTIFIED = grpcclient.InferRequestedOutput(CERTIFIED_SCORE)
_HALVES = grpcclient.InferRequestedOutput(HALVES)


log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RepositoryEntry:
    """One version as the server lists it; ``state`` is READY, LOADING, UNLOADING or UNAVAILABLE."""

    name: str
    version: int
    state: str
    reason: str


class _TritonChannels:
    """The connections to one server, taken in turn; made anew when a certificate on the disk has changed.

    Requests under way end on the connections that they began on, which are closed at the change after.
    """

    def __init__(self, settings: TritonSettings, identity: TritonIdentity | None) -> None:
        """Raises InvalidConfiguration when the certificates cannot be used."""
        self._settings, self._identity = settings, identity
        self._lock = threading.Lock()
        self._before: list[Any] = []
        self._stamp = self._identity.stamp() if self._identity is not None else ()
        self._take(self._made())
        self._look_at = time.monotonic() + _LOOK_SECONDS

    def next(self) -> Any:
        """Return a connection; the files are looked at once a second."""
        if self._identity is not None and time.monotonic() > self._look_at:
            self._look()
        return next(self._turns)

    def close(self) -> None:
        """Give up every connection."""
        for client in (*self._before, *self._clients):
            client.close()

    def _look(self) -> None:
        with self._lock:
            if time.monotonic() <= self._look_at or self._identity is None:
                return
            self._look_at = time.monotonic() + _LOOK_SECONDS
            try:
                stamp = self._identity.stamp()
                if stamp == self._stamp:
                    return
                made = self._made()
            except (InvalidConfiguration, OSError) as error:  # half of it is written: look again later
                log.warning("triton_certificate_not_taken", error=str(error))
                return
            for client in self._before:
                client.close()
            self._before, self._stamp = self._clients, stamp
            self._take(made)
            log.info("triton_certificate_taken")

    def _take(self, clients: list[Any]) -> None:
        self._clients, self._turns = clients, itertools.cycle(clients)

    def _made(self) -> list[Any]:
        credentials = self._identity.credentials() if self._identity is not None else None
        # The channel argument that gRPC does not know keeps it from giving all channels one connection.
        return [
            grpcclient.InferenceServerClient(
                self._settings.url,
                creds=credentials,
                channel_args=[*_CHANNEL, ("steadyline.channel", n)],
            )
            for n in range(self._settings.connections)
        ]


class TritonClient:
    """Implements ``Inference``, and loads and lists models where the admin key is set. It is thread-safe.

    Raises InvalidConfiguration when the address is not HOST:PORT, or a certificate cannot be used.
    """

    def __init__(self, settings: TritonSettings) -> None:
        self._address = host_and_port(settings.url)
        self._url, self._timeout = settings.url, settings.timeout_seconds
        key = settings.admin_key.get_secret_value() if settings.admin_key is not None else None
        self._admin = {KEY_HEADER: key} if key is not None else {}
        self._identity = identity_of(settings)
        self._channels = _TritonChannels(settings, self._identity)

    def infer(self, ref: ModelRef, pictures: Pixels, traceparent: str | None = None) -> Future[Inferred]:
        """See ``Inference.infer``."""
        answer: Future[Inferred] = Future()
        tensor = grpcclient.InferInput("picture", list(pictures.shape), "UINT8")
        tensor.set_data_from_numpy(np.ascontiguousarray(pictures))

        def done(result: Any, error: InferenceServerException | None) -> None:
            try:
                if error is not None:
                    raise self._refusal(error, f"asking {ref.name} version {ref.version} at {self._url}")
                answer.set_result(_outputs(ref, len(pictures), result))
            except BaseException as failure:
                answer.set_exception(failure)

        try:
            self._channels.next().async_infer(
                ref.name,
                [tensor],
                done,
                model_version=str(ref.version),
                outputs=[*_OUTPUTS, *[_CERTIFIED] * ref.is_certified, *[_HALVES] * ref.has_halves],
                client_timeout=self._timeout,
                headers={"traceparent": traceparent} if traceparent is not None else None,
            )
        except (InferenceServerException, ValueError) as error:  # ValueError: the channel is closed
            answer.set_exception(InferenceUnavailable(f"asking {ref.name} at {self._url}: {error}"))
        return answer

    def is_server_ready(self) -> bool:
        """Return True when the server answers and says that it is ready; never raises.

        The server goes on saying so when the process behind a model has died: only ``probe`` finds that.
        """
        try:
            return bool(self._channels.next().is_server_ready(client_timeout=_ASK_SECONDS))
        except InferenceServerException:
            return False

    def verify(self) -> None:
        """Raise what keeps the server from being asked, with the reason that gRPC gives.

        InvalidConfiguration when the port speaks HTTP, which no waiting mends; else InferenceUnavailable.
        """
        try:
            if self._channels.next().is_server_ready(client_timeout=_ASK_SECONDS):
                return
        except InferenceServerException as error:
            if speaks_http(self._address, _ASK_SECONDS):
                raise InvalidConfiguration(
                    f"TRITON_URL={self._url} is an HTTP port: write the port of Triton's gRPC service, 8001 "
                    "by default"
                ) from error
            raise self._translated(error, f"Triton at {self._url} (TRITON_URL) does not answer") from error
        raise InferenceUnavailable(f"Triton at {self._url} (TRITON_URL) says that it is not ready")

    def is_ready(self, ref: ModelRef) -> bool:
        """Return True when the server says that this version can be asked; never raises."""
        try:
            answer = self._channels.next().is_model_ready(
                ref.name, str(ref.version), client_timeout=_ASK_SECONDS
            )
            return bool(answer)
        except InferenceServerException:
            return False

    def load(self, name: str, within: timedelta = LOAD_WITHIN) -> None:
        """Load the versions of ``name`` that the repository has, or load them anew after a change.

        Raises InferenceUnavailable with the server's reason; versions served before stay as they were.
        """
        try:
            self._channels.next().load_model(name, headers=self._admin, client_timeout=within.total_seconds())
        except InferenceServerException as error:
            raise self._translated(error, f"loading {name} at {self._url}") from error

    def unload(self, name: str) -> None:
        """Take every version of ``name`` out of service; raises InferenceUnavailable."""
        try:
            self._channels.next().unload_model(name, headers=self._admin, client_timeout=_ASK_SECONDS)
        except InferenceServerException as error:
            raise self._translated(error, f"unloading {name} at {self._url}") from error

    def index(self) -> list[RepositoryEntry]:
        """Return every version in the repository with its state; raises InferenceUnavailable."""
        try:
            answer: Any = self._channels.next().get_model_repository_index(
                headers=self._admin, client_timeout=_ASK_SECONDS
            )
        except InferenceServerException as error:
            raise self._translated(error, f"listing the models at {self._url}") from error
        return [
            RepositoryEntry(item.name, int(item.version), item.state, item.reason)
            for item in answer.models
            if item.version
        ]

    def close(self) -> None:
        """Give up the connections; later requests fail."""
        self._channels.close()

    def _refusal(self, error: InferenceServerException, doing: str) -> InferenceUnavailable | ContractBroken:
        """Return ContractBroken for a request that the model's configuration rules out; other refusals pass
        with time and are InferenceUnavailable.
        """
        if _status(error) == "INVALID_ARGUMENT":
            return ContractBroken(f"{doing}: {error.message()}")
        return self._translated(error, doing)

    def _translated(self, error: InferenceServerException, doing: str) -> InferenceUnavailable:
        told = str(error.message())
        return InferenceUnavailable(f"{doing}: {_status(error)}: {told}{hint(told, self._identity)}")


def parse_config(text: str) -> Any:
    """Return ``config.pbtxt`` as Triton's own ModelConfig; raises InvalidConfiguration with the place."""
    try:
        return text_format.Parse(text, model_config_pb2.ModelConfig())
    except text_format.ParseError as error:
        raise InvalidConfiguration(f"config.pbtxt: {error}") from error


def _status(error: InferenceServerException) -> str:
    return str(error.status() or "").removeprefix("StatusCode.")


def _outputs(ref: ModelRef, count: int, result: Any) -> Inferred:
    try:
        scores, maps = _unbatched(result.as_numpy("score"), count), result.as_numpy("map")
        certified = _unbatched(result.as_numpy(CERTIFIED_SCORE), count) if ref.is_certified else None
        halves = result.as_numpy(HALVES) if ref.has_halves else None
    except ValueError as error:  # there are fewer bytes than the shape says
        raise ContractBroken(f"{ref.name} version {ref.version}: {error}") from error
    return Inferred(
        _checked(ref, "score", scores, (count,)),
        _checked(ref, "map", maps, (count, -1, -1)),
        _checked(ref, CERTIFIED_SCORE, certified, (count,)) if ref.is_certified else None,
        _checked(ref, HALVES, halves, (count, 2)) if ref.has_halves else None,
    )


def _unbatched(found: Any, count: int) -> Any:
    """Return [B, 1] as [B]: a batching model's output needs dims in config.pbtxt, so that scores are served
    with one more (reshape { shape: [ ] }).
    """
    return found[:, 0] if found is not None and found.shape == (count, 1) else found


def _checked(ref: ModelRef, name: str, found: Any, shape: tuple[int, ...]) -> Floats:
    fits = (
        found is not None
        and found.dtype == np.float32
        and found.ndim == len(shape)
        and all(want in (-1, have) and have > 0 for want, have in zip(shape, found.shape, strict=True))
    )
    if not fits:
        what = "nothing" if found is None else f"{found.dtype} {found.shape}"
        raise ContractBroken(
            f"{ref.name} version {ref.version}: output {name!r} is {what}, not float32 {shape}"
        )
    checked: Floats = found
    return checked
