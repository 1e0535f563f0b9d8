"""What every bank does, on the in-memory twin and on a real Redis."""

import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import takewhile

import pytest
import redis as redis_client
from pydantic import SecretStr
from typing_extensions import override

from steadyline.bank import keys
from steadyline.bank.entry import OLD_SECONDS, Bank, BankEntry, BankLost
from steadyline.bank.memory import MemoryBank
from steadyline.bank.redis import PIPELINE, RedisBank
from steadyline.clock import ManualClock
from steadyline.errors import BankUnavailable, ContractBroken, InvalidConfiguration
from steadyline.settings import RedisSettings
from tests.support.banks import a_manifest, an_entry, some_entries
from tests.support.eventually import eventually
from tests.support.servers import OwnStack

LINE = "line-1"

# What a stranger, another program or a damaged disk leaves in Redis.
FOREIGN = [
    b"x",
    b"\x80\x04pickle",
    b"\xff\xfe\x00",
    b"-1",
    b"0",
    b"9" * 5000,
    b"1e3",
    b"[" * 100_000,
    b'{"picture_bytes": -5}\nabc',
    b'{"acceptance":1,"id":"0","parameters":{},"picture_bytes":1e400,"source":"","transform":""}\nab',
    b'{"acceptance":1,"id":"0","parameters":{},"picture_bytes":99,"source":"","transform":""}\nab',
    b'{"acceptance":1,"id":7,"parameters":{},"picture_bytes":1,"source":"","transform":""}\nab',
    b"\n" + b"x" * 2_000_000,
    b'{"parameters":{' + b",".join(b'"%d":[]' % number for number in range(100_000)) + b"}}\nab",
]


def name(product: str) -> str:
    """Return a product's name among those of all lines that use one Redis."""
    return f"{LINE}/{product}"


@pytest.fixture
def product() -> str:
    """A product of this test alone."""
    return f"cell-{uuid.uuid4().hex[:12]}"


def acquired(bank: Bank, product: str, owner: str, seconds: float, above: int = 0) -> int:
    """Take the lease on one product; returns the fencing token."""
    return bank.acquire_leases({product: above}, owner, seconds)[product]


def read_one_word(bank: Bank, product: str) -> str:
    """Read the current bank; returns the one word that all its entries were made with."""
    manifest = bank.current(product)
    assert manifest is not None
    entries = bank.read(product, manifest.version)
    (word,) = {entry.mask_png[2:] for entry in entries}
    assert len(entries) == manifest.entries
    assert manifest.digest == word.decode()
    return word.decode()


class BankContract(ABC):
    """Inherited by one class a kind of bank."""

    @pytest.fixture
    @abstractmethod
    def bank(self) -> Bank: ...

    def test_a_bank_that_was_never_made_is_none(self, bank: Bank, product: str) -> None:
        assert bank.current(product) is None
        with pytest.raises(BankUnavailable, match=f"v1 of {product} is not there"):
            bank.read(product, 1)

    def test_what_is_written_is_read_back_to_the_byte(self, bank: Bank, product: str) -> None:
        entries, manifest = some_entries(2 * PIPELINE + 3), a_manifest(product, 1, 2 * PIPELINE + 3)
        bank.write(manifest, entries)
        assert bank.current(product) == manifest
        assert bank.read(product, 1) == entries

    def test_entries_come_in_order_of_id_however_they_were_written(self, bank: Bank, product: str) -> None:
        bank.write(a_manifest(product, 1, 60), some_entries(60)[::-1])
        assert bank.read(product, 1) == some_entries(60)
        assert bank.read(product, 1, limit=7) == some_entries(7)
        assert bank.read(product, 1, limit=1000) == some_entries(60)

    def test_the_old_version_stays_readable_while_its_readers_finish(self, bank: Bank, product: str) -> None:
        bank.write(a_manifest(product, 1, 3), some_entries(3, "old"))
        bank.write(a_manifest(product, 2, 4), some_entries(4, "new"))
        assert bank.read(product, 1) == some_entries(3, "old")
        manifest = bank.current(product)
        assert manifest is not None
        assert manifest.version == 2

    def test_writing_a_version_again_replaces_it_whole(self, bank: Bank, product: str) -> None:
        bank.write(a_manifest(product, 1, 5), some_entries(5, "damaged"))
        bank.write(a_manifest(product, 1, 3), some_entries(3, "whole"))
        assert bank.read(product, 1) == some_entries(3, "whole")

    def test_products_do_not_meet(self, bank: Bank, product: str) -> None:
        bank.write(a_manifest(product, 1, 2), some_entries(2, "one"))
        bank.write(a_manifest(product + "-b", 1, 2), some_entries(2, "other"))
        assert bank.read(product, 1) == some_entries(2, "one")

    @pytest.mark.parametrize("entries", [[], some_entries(2), [an_entry(1), an_entry(1), an_entry(2)]])
    def test_entries_that_do_not_fit_the_manifest_are_refused(
        self, bank: Bank, product: str, entries: list[BankEntry]
    ) -> None:
        with pytest.raises(ContractBroken, match="the manifest counts 3 entries"):
            bank.write(a_manifest(product, 1, 3), entries)
        assert bank.current(product) is None

    def test_readers_never_see_a_mixture_while_versions_turn(self, bank: Bank, product: str) -> None:
        words = ["a", "b", "c"]
        bank.write(a_manifest(product, 1, 120, "a"), some_entries(120, "a"))
        stop = threading.Event()
        seen: list[str] = []
        trouble: list[BaseException] = []

        def read() -> None:
            try:
                while not stop.is_set():
                    seen.append(read_one_word(bank, product))
            except BaseException as error:
                trouble.append(error)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for version in range(2, 30):
            word = words[version % 3]
            bank.write(a_manifest(product, version, 120, word), some_entries(120, word))
        stop.set()
        for reader in readers:
            reader.join()
        assert trouble == []
        assert set(seen) <= set(words)

    def test_one_owner_at_a_time_has_the_claim(self, bank: Bank, product: str) -> None:
        assert bank.holder(product) is None
        assert acquired(bank, product, "one", 30)
        assert not acquired(bank, product, "other", 30)
        assert acquired(bank, product, "one", 30)
        assert bank.holder(product) == "one"

    def test_a_claim_runs_out(self, bank: Bank, product: str) -> None:
        assert acquired(bank, product, "one", 0.2)
        eventually(lambda: acquired(bank, product, "other", 30), within=5)
        assert not acquired(bank, product, "one", 30)

    def test_only_the_owner_can_give_a_claim_back(self, bank: Bank, product: str) -> None:
        acquired(bank, product, "one", 30)
        bank.release_leases([product], "other")
        assert not acquired(bank, product, "other", 30)
        bank.release_leases([product], "one")
        assert acquired(bank, product, "other", 30)

    def test_a_token_grows_with_each_taking_and_stays_the_same_while_the_lease_is_renewed(
        self, bank: Bank, product: str
    ) -> None:
        first = acquired(bank, product, "one", 30)
        assert acquired(bank, product, "one", 30) == first > 0
        assert acquired(bank, product, "other", 30) == 0
        bank.release_leases([product], "one")
        second = acquired(bank, product, "other", 30)
        assert second > first
        assert acquired(bank, product, "other", 30, above=second - 1) == second
        assert acquired(bank, product, "other", 30, above=second + 10) == second + 11
        bank.release_leases([product], "other")
        assert acquired(bank, product, "one", 30) == second + 12

    def test_each_of_several_leases_is_taken_renewed_or_refused_by_itself(
        self, bank: Bank, product: str
    ) -> None:
        theirs, free = f"{product}-theirs", f"{product}-free"
        ours = acquired(bank, product, "one", 30)
        assert acquired(bank, theirs, "other", 30)
        tokens = bank.acquire_leases({product: 0, theirs: 0, free: 41}, "one", 30)
        assert tokens == {product: ours, theirs: 0, free: 42}
        bank.release_leases([product, theirs, free], "one")
        assert [bank.holder(name) for name in (product, theirs, free)] == [None, "other", None]

    def test_of_many_that_claim_at_once_one_gets_it(self, bank: Bank, product: str) -> None:
        start, won = threading.Barrier(8), []

        def acquire_lease(owner: str) -> None:
            start.wait()
            if acquired(bank, product, owner, 30):
                won.append(owner)

        threads = [threading.Thread(target=acquire_lease, args=(str(n),)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1


class TestMemoryBank(BankContract):
    @override
    @pytest.fixture
    def bank(self) -> Bank:
        return MemoryBank()

    def test_old_versions_and_claims_run_out_by_the_clock(self, product: str) -> None:
        clock = ManualClock()
        bank = MemoryBank(clock)
        bank.write(a_manifest(product, 1, 3), some_entries(3))
        bank.write(a_manifest(product, 2, 3), some_entries(3))
        acquired(bank, product, "one", 20)
        clock.advance(timedelta(seconds=OLD_SECONDS))
        with pytest.raises(BankUnavailable):
            bank.read(product, 1)
        assert bank.read(product, 2) == some_entries(3)
        assert bank.holder(product) is None


@pytest.mark.servers
class TestRedisBank(BankContract):
    @pytest.fixture
    def redis_bank(self, redis: str) -> Iterator[RedisBank]:
        found = RedisBank(RedisSettings(url=SecretStr(redis)), LINE)
        yield found
        found.close()

    @override
    @pytest.fixture
    def bank(self, redis_bank: RedisBank) -> Bank:
        return redis_bank

    @pytest.fixture
    def client(self, redis: str) -> Iterator["redis_client.Redis"]:
        with redis_client.Redis.from_url(redis) as client:
            yield client

    def test_old_versions_run_out_and_the_current_one_stays(
        self, bank: Bank, product: str, client: "redis_client.Redis"
    ) -> None:
        bank.write(a_manifest(product, 1, 3), some_entries(3))
        bank.write(a_manifest(product, 2, 3), some_entries(3))
        for key in (keys.entries(name(product), 1), keys.manifest(name(product), 1)):
            assert 0 < int(str(client.ttl(key))) <= OLD_SECONDS
        for key in (
            keys.entries(name(product), 2),
            keys.manifest(name(product), 2),
            keys.pointer(name(product)),
        ):
            assert client.ttl(key) == -1

    def test_nothing_else_is_left_in_redis(
        self, bank: Bank, product: str, client: "redis_client.Redis"
    ) -> None:
        bank.write(a_manifest(product, 1, 3), some_entries(3))
        expected = {
            keys.entries(name(product), 1),
            keys.manifest(name(product), 1),
            keys.pointer(name(product)),
        }
        assert {key.decode() for key in client.scan_iter(f"{keys.prefix(name(product))}*")} == expected

    @pytest.mark.parametrize("value", FOREIGN)
    def test_an_entry_that_is_none_is_a_lost_bank(
        self, bank: Bank, product: str, client: "redis_client.Redis", value: bytes
    ) -> None:
        bank.write(a_manifest(product, 1, 2), some_entries(2))
        client.hset(keys.entries(name(product), 1), "00001", value)
        with pytest.raises(BankLost):
            bank.read(product, 1)
        bank.write(a_manifest(product, 1, 2), some_entries(2))
        assert bank.read(product, 1) == some_entries(2)

    @pytest.mark.parametrize("value", FOREIGN)
    @pytest.mark.parametrize("kind", ["string", "list", "hash"])
    @pytest.mark.parametrize("place", ["pointer", "manifest", "entries"])
    def test_a_value_that_is_none_of_ours_is_a_lost_bank_and_the_next_one_takes_its_place(
        self, bank: Bank, product: str, client: "redis_client.Redis", place: str, kind: str, value: bytes
    ) -> None:
        bank.write(a_manifest(product, 1, 2), some_entries(2))
        key = {
            "pointer": keys.pointer(name(product)),
            "manifest": keys.manifest(name(product), 1),
            "entries": keys.entries(name(product), 1),
        }[place]
        client.delete(key)
        if kind == "string":
            client.set(key, value)
        elif kind == "list":
            client.rpush(key, value)
        else:
            client.hset(key, "00000", value)
        if place == "entries":
            with pytest.raises(BankLost):
                bank.read(product, 1)
        else:
            assert bank.current(product) is None
        bank.write(a_manifest(product, 2, 3), some_entries(3))
        assert bank.current(product) == a_manifest(product, 2, 3)
        assert bank.read(product, 2) == some_entries(3)
        assert client.ttl(keys.entries(name(product), 2)) == -1

    @pytest.mark.parametrize("update", [{"version": 2}, {"product": "other"}])
    def test_a_manifest_of_another_bank_is_none(
        self, bank: Bank, product: str, client: "redis_client.Redis", update: dict[str, object]
    ) -> None:
        other = a_manifest(product, 1, 2).model_copy(update=update)
        client.set(keys.pointer(name(product)), 1)
        client.set(keys.manifest(name(product), 1), other.model_dump_json())
        assert bank.current(product) is None

    def test_all_leases_are_renewed_by_one_command(
        self, bank: Bank, product: str, client: "redis_client.Redis"
    ) -> None:
        products = {f"{product}-{number}": 0 for number in range(8)}
        bank.acquire_leases(products, "one", 30)
        bank.release_leases(products, "one")
        with client.monitor() as monitor:  # type: ignore[no-untyped-call]
            bank.acquire_leases(products, "one", 30)
            bank.release_leases(products, "one")
            client.echo(product)
            ours = (said for said in monitor.listen() if product in said["command"])
            seen = list(takewhile(lambda said: not said["command"].startswith("ECHO"), ours))
        assert [said["command"].split()[0] for said in seen if said["client_type"] != "lua"] == [
            "EVALSHA"
        ] * 2

    @pytest.mark.parametrize("kind", ["string", "list"])
    @pytest.mark.parametrize("value", FOREIGN)
    def test_a_lease_that_is_none_of_ours_is_anothers_until_it_runs_out(
        self, bank: Bank, product: str, client: "redis_client.Redis", kind: str, value: bytes
    ) -> None:
        key = keys.lease(name(product))
        client.set(key, value) if kind == "string" else client.rpush(key, value)
        assert acquired(bank, product, "one", 1) == 0
        if kind == "string":
            assert bank.holder(product) not in (None, "one")
        bank.release_leases([product], "one")
        eventually(lambda: acquired(bank, product, "one", 0.2) > 0, within=5)

    def test_lines_with_one_redis_do_not_meet(self, bank: Bank, product: str, redis: str) -> None:
        other = RedisBank(RedisSettings(url=SecretStr(redis)), "line-2")
        bank.write(a_manifest(product, 1, 2), some_entries(2))
        assert other.current(product) is None
        assert acquired(bank, product, "one", 30)
        assert acquired(other, product, "other", 30)
        other.close()

    def test_the_time_of_the_server_is_told(self, redis_bank: RedisBank) -> None:
        assert redis_bank.server_time() > 1.7e9


@pytest.mark.servers
class TestRedisAway:
    def test_a_killed_redis_is_unavailable_and_its_bank_gone_when_it_is_back(
        self, own_stack: OwnStack, product: str
    ) -> None:
        stack = own_stack("redis")
        bank = RedisBank(RedisSettings(url=SecretStr(stack.addresses.redis_url), timeout_seconds=2), LINE)
        bank.write(a_manifest(product, 1, 3), some_entries(3))
        stack.redis.kill9()
        with pytest.raises(BankUnavailable, match=f"the bank of {product} cannot be looked up"):
            bank.current(product)
        with pytest.raises(BankUnavailable, match="cannot be taken"):
            acquired(bank, product, "one", 30)
        stack.redis.restart()
        assert bank.current(product) is None
        bank.write(a_manifest(product, 1, 3), some_entries(3))
        assert bank.read(product, 1) == some_entries(3)
        bank.close()

    def test_a_hanging_redis_is_unavailable_after_the_deadline(
        self, own_stack: OwnStack, product: str
    ) -> None:
        stack = own_stack("redis")
        bank = RedisBank(RedisSettings(url=SecretStr(stack.addresses.redis_url), timeout_seconds=0.3), LINE)
        acquired(bank, product, "one", 30)
        stack.redis.suspend()
        try:
            with pytest.raises(BankUnavailable):
                bank.current(product)
        finally:
            stack.redis.resume()
        assert bank.current(product) is None
        bank.close()

    def test_a_full_redis_keeps_the_bank_it_has(self, own_stack: OwnStack, product: str) -> None:
        stack = own_stack("redis")
        bank = RedisBank(RedisSettings(url=SecretStr(stack.addresses.redis_url)), LINE)
        bank.write(a_manifest(product, 1, 50), some_entries(50))
        large = [replace(entry, picture_png=bytes(200_000)) for entry in some_entries(100)]
        with redis_client.Redis.from_url(stack.addresses.redis_url) as client:
            client.config_set("maxmemory", "8mb")
            with pytest.raises(BankUnavailable, match="cannot be written"):
                bank.write(a_manifest(product, 2, 100), large)
            assert list(client.scan_iter(f"{keys.prefix(name(product))}:building:*")) == []
        manifest = bank.current(product)
        assert manifest is not None
        assert manifest.version == 1
        assert bank.read(product, 1) == some_entries(50)
        bank.close()


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="REDIS_URL"):
        RedisBank(RedisSettings(url=SecretStr("redis://127.0.0.1:6379/0?socket_timeout=soon")), LINE)


def _put(client: redis_client.Redis, key: str, value: str | bytes | list[str]) -> None:
    if isinstance(value, list):
        client.rpush(key, *value)
    else:
        client.set(key, value)
