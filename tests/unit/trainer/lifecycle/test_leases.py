"""One live trainer a product, whatever Redis does meanwhile."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from typing_extensions import override

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.errors import BankUnavailable
from trainer.lifecycle.leases import LEASE, LeaseLost, Leases, LeaseState
from trainer.lifecycle.repository import ModelRepository


class AwayBank(MemoryBank):
    """A bank whose Redis can be taken away."""

    away = False
    asked = 0

    @override
    def acquire_leases(self, products: Mapping[str, int], owner: str, seconds: float) -> dict[str, int]:
        self.asked += 1
        if self.away:
            raise BankUnavailable("Redis is away")
        return super().acquire_leases(products, owner, seconds)


class SlowBank(MemoryBank):
    """A bank whose every answer takes five seconds."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.time = clock

    @override
    def acquire_leases(self, products: Mapping[str, int], owner: str, seconds: float) -> dict[str, int]:
        self.time.advance(timedelta(seconds=5))
        return super().acquire_leases(products, owner, seconds)


def leases(bank: MemoryBank, clock: ManualClock, owner: str) -> Leases:
    return Leases(bank, ["cell"], owner, clock)


def test_the_first_trainer_has_the_product_and_the_second_waits() -> None:
    bank, clock = MemoryBank(), ManualClock()
    first, second = leases(bank, clock, "a"), leases(bank, clock, "b")
    assert first.renew()
    assert second.renew()
    assert first.state_of("cell") is LeaseState.HELD
    assert second.state_of("cell") is LeaseState.HELD_BY_OTHER


def test_a_claim_given_back_is_anothers_at_once() -> None:
    bank, clock = MemoryBank(), ManualClock()
    first, second = leases(bank, clock, "a"), leases(bank, clock, "b")
    first.renew()
    first.release()
    second.renew()
    assert second.state_of("cell") is LeaseState.HELD


def test_while_redis_is_away_a_claim_lasts_its_lease_and_is_then_unknown() -> None:
    bank, clock = AwayBank(), ManualClock()
    ours = leases(bank, clock, "a")
    ours.renew()
    bank.away = True
    assert not ours.renew()
    assert ours.state_of("cell") is LeaseState.HELD
    clock.advance(LEASE + timedelta(seconds=1))
    assert ours.state_of("cell") is LeaseState.UNKNOWN
    bank.away = False
    assert ours.renew()
    assert ours.state_of("cell") is LeaseState.HELD


def test_an_absent_redis_is_asked_once_and_not_for_every_product() -> None:
    bank = AwayBank()
    bank.away = True
    assert not Leases(bank, ["cell", "tile", "bolt"], "a", ManualClock()).renew()
    assert bank.asked == 1


def test_a_slow_redis_costs_no_lease_however_many_products_there_are() -> None:
    clock = ManualClock()
    products = [f"product-{number}" for number in range(20)]
    ours = Leases(SlowBank(clock), products, "a", clock)
    for _ in range(5):
        assert ours.renew()
        assert {ours.state_of(product) for product in products} == {LeaseState.HELD}


def test_a_trainer_that_restarts_under_its_own_name_goes_on_at_once() -> None:
    bank, clock = MemoryBank(), ManualClock()
    leases(bank, clock, "a").renew()
    again = leases(bank, clock, "a")
    again.renew()
    assert again.state_of("cell") is LeaseState.HELD


def test_each_taking_over_has_a_greater_token_and_a_renewal_has_the_same() -> None:
    clock = ManualClock()
    bank = MemoryBank(clock)
    first, second = leases(bank, clock, "a"), leases(bank, clock, "b")
    first.renew()
    token = first.require("cell", 0)
    clock.advance(LEASE / 2)
    first.renew()
    assert first.require("cell", token) == token
    clock.advance(LEASE * 2)
    second.renew()
    assert second.require("cell", token) > token
    with pytest.raises(LeaseLost):
        first.require("cell", 0)
    assert first.token_of("cell") == token


def test_a_token_is_greater_than_any_that_was_seen_also_after_redis_has_lost_the_count() -> None:
    clock = ManualClock()
    ours = leases(MemoryBank(clock), clock, "a")
    ours.renew()
    token = ours.require("cell", 41)
    assert token == 42
    ours.renew()
    assert ours.require("cell", 42) == 42


def test_a_trainer_writes_to_the_repository_again_after_redis_has_lost_its_count(tmp_path: Path) -> None:
    clock = ManualClock()
    before, after = leases(MemoryBank(), clock, "a"), leases(MemoryBank(), clock, "a")
    for _ in range(3):
        before.renew()
        before.release()
    before.renew()
    ModelRepository(tmp_path, before.token_above).publish("cell", 1, b"one", b"", keep=None)
    after.renew()
    assert after.token_of("cell") < before.token_of("cell")
    repository = ModelRepository(tmp_path, after.token_above)
    repository.publish("cell", 2, b"two", b"", keep=1)
    assert repository.versions("cell") == [1, 2]
    clock.advance(LEASE + timedelta(seconds=1))
    with pytest.raises(LeaseLost):
        ModelRepository(tmp_path, before.token_above).touch("cell", 1)
