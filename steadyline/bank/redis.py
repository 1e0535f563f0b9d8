"""The bank in Redis: one hash per version, and a pointer that moves once the hash is whole."""

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from steadyline.address import without_address
from steadyline.bank import keys
from steadyline.bank.codec import MOST_BYTES, decode_entry, encode_entry
from steadyline.bank.entry import (
    MOST_ENTRIES,
    MOST_MANIFEST_BYTES,
    OLD_SECONDS,
    BankEntry,
    BankLost,
    BankManifest,
    check_whole,
)
from steadyline.contracts.message import first_problem
from steadyline.errors import BankUnavailable, InvalidConfiguration
from steadyline.settings import RedisSettings
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

_VERSION = re.compile(rb"[1-9]\d{0,8}")

PIPELINE = 64  # 2,000 entries of 30 KB: written in 65 ms, read in 35 ms with chunks of 50
CHUNK = 50
BUILDING_SECONDS = 120  # renewed with every pipeline; what a killed writer left expires by itself
FLIPS = 10  # a flip fails only when another writer was faster, which takes that writer a whole write

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RedisMemory:
    """A server's memory in bytes and its eviction policy; ``limit`` 0 means that there is no limit."""

    used: int
    limit: int
    policy: str


class RedisBank:
    """The ``Bank`` protocol in Redis, for the products of one line. Thread-safe."""

    def __init__(self, settings: RedisSettings, line: str) -> None:
        """Connects on first use. Raises InvalidConfiguration when the address is not valid."""
        self._line = line
        try:
            self._client = redis.Redis.from_url(
                settings.url.get_secret_value(),
                socket_timeout=settings.timeout_seconds,
                socket_connect_timeout=settings.timeout_seconds,
                retry=Retry(NoBackoff(), 1),
                **_identity(settings),
            )
        except ValueError as error:
            told = without_address(str(error), settings.url.get_secret_value())
            raise InvalidConfiguration(f"REDIS_URL: {told}") from None
        self._url = settings.url

    def write(self, manifest: BankManifest, entries: list[BankEntry]) -> None:
        check_whole(manifest, entries)
        building = keys.building(self._name(manifest.product), uuid.uuid4().hex)

        def act() -> None:
            try:
                self._build(building, entries)
                self._put_in_place(building, manifest)
            except redis.ResponseError:  # for example a full server; half of a bank must not stay in the way
                self._client.unlink(building)
                raise

        self._answered(f"bank v{manifest.version} of {manifest.product} cannot be written", act)

    def _build(self, building: str, entries: list[BankEntry]) -> None:
        for start in range(0, len(entries), PIPELINE):
            pipeline = self._client.pipeline(transaction=False)
            for entry in entries[start : start + PIPELINE]:
                pipeline.hset(building, entry.id, encode_entry(entry))
            pipeline.expire(building, BUILDING_SECONDS)
            pipeline.execute()

    def _put_in_place(self, building: str, manifest: BankManifest) -> None:
        product, version = self._name(manifest.product), manifest.version
        new = [keys.entries(product, version), keys.manifest(product, version)]
        for _ in range(FLIPS):
            found = _of_its_type(lambda: self._client.get(keys.pointer(product)))
            old = _version(found) or version
            moved = self._flip(
                keys=[
                    keys.pointer(product),
                    building,
                    *new,
                    keys.entries(product, old),
                    keys.manifest(product, old),
                ],
                args=[found or b"", version, manifest.model_dump_json(), OLD_SECONDS],
            )
            if moved:
                return
        raise BankUnavailable(f"bank v{version} of {product}: other writers move the pointer all the time")

    def current(self, product: str) -> BankManifest | None:
        name = self._name(product)

        def act() -> BankManifest | None:
            version = _version(_of_its_type(lambda: self._client.get(keys.pointer(name))))
            if version is None:
                return None
            key = keys.manifest(name, version)
            size = _of_its_type(lambda: self._client.strlen(key))
            if size is None or size > MOST_MANIFEST_BYTES:
                return None
            text: Any = self._client.get(key)
            manifest = None if text is None else _manifest(text)
            fits = manifest is not None and (manifest.product, manifest.version) == (product, version)
            return manifest if fits else None

        return self._answered(f"the bank of {product} cannot be looked up", act)

    def read(self, product: str, version: int, limit: int | None = None) -> list[BankEntry]:
        key, what = keys.entries(self._name(product), version), f"bank v{version} of {product}"

        def act() -> list[BankEntry]:
            count = _of_its_type(lambda: self._client.hlen(key))
            if not count or count > MOST_ENTRIES:
                raise BankLost(f"{what} is not there")
            found: Any = self._client.hkeys(key)
            ids = sorted(found)[:limit]
            entries: list[BankEntry] = []
            for start in range(0, len(ids), CHUNK):
                entries += self._read_chunk(key, ids[start : start + CHUNK])
            if len(entries) != len(ids):
                raise BankLost(f"{what} is not there")
            return entries

        return self._answered(f"{what} cannot be read", act)

    def _read_chunk(self, key: str, ids: list[Any]) -> list[BankEntry]:
        pipeline = self._client.pipeline(transaction=False)
        for one in ids:
            pipeline.hstrlen(key, one)
        if max(pipeline.execute()) > MOST_BYTES:
            raise BankLost(f"an entry of a bank is larger than {MOST_BYTES} bytes")
        values: Any = self._client.hmget(key, ids)
        return [decode_entry(value) for value in values if value is not None]

    def acquire_leases(self, products: Mapping[str, int], owner: str, seconds: float) -> dict[str, int]:
        named = [self._name(product) for product in products]
        pairs = [key for name in named for key in (keys.lease(name), keys.fencing_token(name))]
        args = [owner, int(seconds * 1000), *products.values()]
        tokens = self._answered(
            f"the leases on {', '.join(products)} cannot be taken",
            lambda: self._acquire_leases(keys=pairs, args=args),
        )
        return {product: int(token) for product, token in zip(products, tokens, strict=True)}

    def holder(self, product: str) -> str | None:
        owner: Any = self._answered(
            f"the lease on {product} cannot be looked up",
            lambda: self._client.get(keys.lease(self._name(product))),
        )
        return None if owner is None else str(owner, "utf-8", "replace")

    def release_leases(self, products: Iterable[str], owner: str) -> None:
        leases = [keys.lease(self._name(product)) for product in products]
        self._answered(
            "the leases cannot be released", lambda: self._release_leases(keys=leases, args=[owner])
        )

    def server_time(self) -> float:
        """Return the server's clock in seconds since 1970."""
        seconds, micros = self._answered("Redis does not tell the time", lambda: self._client.time())
        return float(seconds) + float(micros) / 1e6

    def memory(self) -> RedisMemory:
        """Return how full the server is, and what it does when it is full."""
        said = self._answered("Redis does not tell its memory", lambda: self._client.info("memory"))
        return RedisMemory(int(said["used_memory"]), int(said["maxmemory"]), str(said["maxmemory_policy"]))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _name(self, product: str) -> str:
        """Return a product's name among those of all lines that use this Redis."""
        return f"{self._line}/{product}"

    @cached_property
    def _flip(self) -> Any:
        return self._client.register_script(_script("flip"))

    @cached_property
    def _acquire_leases(self) -> Any:
        return self._client.register_script(_script("acquire_leases"))

    @cached_property
    def _release_leases(self) -> Any:
        return self._client.register_script(_script("release_leases"))

    def _answered(self, what: str, act: Callable[[], T]) -> T:
        try:
            return act()
        except redis.RedisError as error:
            told = without_address(str(error), self._url.get_secret_value())
            raise BankUnavailable(f"{what}: Redis: {told}{_hint(error)}") from error


def _identity(settings: RedisSettings) -> dict[str, Any]:
    """Return the files of an encrypted connection, which are read anew for each connection."""
    if not settings.url.get_secret_value().startswith("rediss://"):
        return {}
    files = {
        "ssl_ca_certs": settings.ssl_ca_location,
        "ssl_certfile": settings.ssl_certificate_location,
        "ssl_keyfile": settings.ssl_key_location,
    }
    return {name: str(path) for name, path in files.items() if path is not None}


# What Redis or TLS says → what to do.
_HINTS = (
    (
        "CERTIFICATE_VERIFY_FAILED",
        "REDIS_SSL_CA_LOCATION must name the authority that signed Redis' certificate, and REDIS_URL the "
        "host that the certificate is for",
    ),
    ("WRONG_VERSION_NUMBER", "this port is not encrypted: write redis://, or the port for TLS"),
    ("RECORD_LAYER_FAILURE", "this port is not encrypted: write redis://, or the port for TLS"),
    (
        "CERTIFICATE_REQUIRED",
        "Redis asks for a certificate: set REDIS_SSL_CERTIFICATE_LOCATION and REDIS_SSL_KEY_LOCATION",
    ),
)


def _hint(error: redis.RedisError) -> str:
    """Return what to do about a refusal, with a separator before it; empty for any other error."""
    if isinstance(error, NoPermissionError):
        return "; give the user of REDIS_URL the rights that `steadyline bank acl` prints"
    if isinstance(error, redis.AuthenticationError) or str(error).startswith(("NOAUTH", "WRONGPASS")):
        return "; write the user and the password that Redis knows into REDIS_URL"
    return next((f"; {what}" for sign, what in _HINTS if sign in str(error)), "")


def _manifest(text: bytes) -> BankManifest | None:
    try:
        return BankManifest.read(text)
    except ValueError as error:
        log.error("bank_manifest_unreadable", error=first_problem(error))
        return None


def _version(found: Any) -> int | None:
    """Return the version that a pointer names; None when it names none."""
    return int(found) if found is not None and _VERSION.fullmatch(found) else None


def _of_its_type(act: Callable[[], Any]) -> Any:
    """Return what Redis answers, or None when a key holds a value of another type: such a one is lost."""
    try:
        return act()
    except redis.ResponseError as error:
        if str(error).startswith("WRONGTYPE"):
            return None
        raise


def _script(name: str) -> str:
    return (files("steadyline.bank") / "scripts" / f"{name}.lua").read_text(encoding="utf-8")
