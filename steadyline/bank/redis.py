"""The bank in Redis: one hash per version, and a pointer that moves once the hash is whole."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any, TypeVar

import redis
from pydantic import ValidationError
from redis.backoff import NoBackoff
from redis.retry import Retry

from steadyline.bank import keys
from steadyline.bank.codec import decode_entry, encode_entry
from steadyline.bank.entry import OLD_SECONDS, BankEntry, BankManifest, check_whole
from steadyline.errors import BankUnavailable, ContractBroken, InvalidConfiguration
from steadyline.settings import RedisSettings

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
    """The ``Bank`` protocol in Redis. Thread-safe."""

    def __init__(self, settings: RedisSettings) -> None:
        """Connects on first use. Raises InvalidConfiguration when the address is not valid."""
        try:
            self._client = redis.Redis.from_url(
                settings.url.get_secret_value(),
                socket_timeout=settings.timeout_seconds,
                socket_connect_timeout=settings.timeout_seconds,
                retry=Retry(NoBackoff(), 1),
            )
        except ValueError as error:
            raise InvalidConfiguration(f"REDIS_URL: {error}") from error

    def write(self, manifest: BankManifest, entries: list[BankEntry]) -> None:
        check_whole(manifest, entries)
        building = keys.building(manifest.product, uuid.uuid4().hex)

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
        product, version = manifest.product, manifest.version
        new = [keys.entries(product, version), keys.manifest(product, version)]
        for _ in range(FLIPS):
            found: Any = self._client.get(keys.pointer(product))
            old = version if found is None else int(found)
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
        def act() -> BankManifest | None:
            version: Any = self._client.get(keys.pointer(product))
            if version is None:
                return None
            text: Any = self._client.get(keys.manifest(product, int(version)))
            return None if text is None else _manifest(text)

        return self._answered(f"the bank of {product} cannot be looked up", act)

    def read(self, product: str, version: int, limit: int | None = None) -> list[BankEntry]:
        key = keys.entries(product, version)

        def act() -> list[BankEntry]:
            found: Any = self._client.hkeys(key)
            ids = sorted(found)[:limit]
            entries: list[BankEntry] = []
            for start in range(0, len(ids), CHUNK):
                values: Any = self._client.hmget(key, ids[start : start + CHUNK])
                entries += [decode_entry(value) for value in values if value is not None]
            if not ids or len(entries) != len(ids):
                raise BankUnavailable(f"bank v{version} of {product} is not there")
            return entries

        return self._answered(f"bank v{version} of {product} cannot be read", act)

    def acquire_lease(self, product: str, owner: str, seconds: float) -> bool:
        def act() -> bool:
            return bool(self._acquire_lease(keys=[keys.lease(product)], args=[owner, int(seconds * 1000)]))

        return self._answered(f"the lease on {product} cannot be taken", act)

    def holder(self, product: str) -> str | None:
        owner: Any = self._answered(
            f"the lease on {product} cannot be looked up", lambda: self._client.get(keys.lease(product))
        )
        return None if owner is None else str(owner, "utf-8")

    def release(self, product: str, owner: str) -> None:
        self._answered(
            f"{product} cannot be released",
            lambda: self._release(keys=[keys.lease(product)], args=[owner]),
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

    @cached_property
    def _flip(self) -> Any:
        return self._client.register_script(_script("flip"))

    @cached_property
    def _acquire_lease(self) -> Any:
        return self._client.register_script(_script("acquire_lease"))

    @cached_property
    def _release(self) -> Any:
        return self._client.register_script(_script("release"))

    def _answered(self, what: str, act: Callable[[], T]) -> T:
        try:
            return act()
        except redis.RedisError as error:
            raise BankUnavailable(f"{what}: {error}") from error


def _manifest(text: bytes) -> BankManifest:
    try:
        return BankManifest.model_validate_json(text)
    except ValidationError as error:
        raise ContractBroken(
            f"a bank manifest cannot be read ({error}): rebuild with `steadyline bank rebuild`"
        ) from error


def _script(name: str) -> str:
    return (files("steadyline.bank") / "scripts" / f"{name}.lua").read_text(encoding="utf-8")
