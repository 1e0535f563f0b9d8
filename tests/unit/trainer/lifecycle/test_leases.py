"""One live trainer a product, whatever Redis does meanwhile."""

from datetime import timedelta

from typing_extensions import override

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.errors import BankUnavailable
from trainer.lifecycle.leases import LEASE, Claims, Standing


class AwayBank(MemoryBank):
    """A bank whose Redis can be taken away."""

    away = False
    asked = 0

    @override
    def claim(self, product: str, owner: str, seconds: float) -> bool:
        self.asked += 1
        if self.away:
            raise BankUnavailable("Redis is away")
        return super().claim(product, owner, seconds)


def claims(bank: MemoryBank, clock: ManualClock, owner: str) -> Claims:
    return Claims(bank, ["cell"], owner, clock)


def test_the_first_trainer_has_the_product_and_the_second_waits() -> None:
    bank, clock = MemoryBank(), ManualClock()
    first, second = claims(bank, clock, "a"), claims(bank, clock, "b")
    assert first.renew()
    assert second.renew()
    assert first.standing("cell") is Standing.OURS
    assert second.standing("cell") is Standing.ANOTHERS


def test_a_claim_given_back_is_anothers_at_once() -> None:
    bank, clock = MemoryBank(), ManualClock()
    first, second = claims(bank, clock, "a"), claims(bank, clock, "b")
    first.renew()
    first.release()
    second.renew()
    assert second.standing("cell") is Standing.OURS


def test_while_redis_is_away_a_claim_lasts_its_lease_and_is_then_unknown() -> None:
    bank, clock = AwayBank(), ManualClock()
    ours = claims(bank, clock, "a")
    ours.renew()
    bank.away = True
    assert not ours.renew()
    assert ours.standing("cell") is Standing.OURS
    clock.advance(LEASE + timedelta(seconds=1))
    assert ours.standing("cell") is Standing.UNKNOWN
    bank.away = False
    assert ours.renew()
    assert ours.standing("cell") is Standing.OURS


def test_an_absent_redis_is_asked_once_and_not_for_every_product() -> None:
    bank = AwayBank()
    bank.away = True
    assert not Claims(bank, ["cell", "tile", "bolt"], "a", ManualClock()).renew()
    assert bank.asked == 1


def test_a_trainer_that_restarts_under_its_own_name_goes_on_at_once() -> None:
    bank, clock = MemoryBank(), ManualClock()
    claims(bank, clock, "a").renew()
    again = claims(bank, clock, "a")
    again.renew()
    assert again.standing("cell") is Standing.OURS
