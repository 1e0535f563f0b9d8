"""One live trainer a product, whatever Redis does meanwhile."""

from datetime import timedelta

from typing_extensions import override

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.errors import BankUnavailable
from trainer.lifecycle.leases import LEASE, Leases, LeaseState


class AwayBank(MemoryBank):
    """A bank whose Redis can be taken away."""

    away = False
    asked = 0

    @override
    def acquire_lease(self, product: str, owner: str, seconds: float) -> bool:
        self.asked += 1
        if self.away:
            raise BankUnavailable("Redis is away")
        return super().acquire_lease(product, owner, seconds)


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


def test_a_trainer_that_restarts_under_its_own_name_goes_on_at_once() -> None:
    bank, clock = MemoryBank(), ManualClock()
    leases(bank, clock, "a").renew()
    again = leases(bank, clock, "a")
    again.renew()
    assert again.state_of("cell") is LeaseState.HELD
