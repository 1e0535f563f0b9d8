"""What is shown of an address holds nothing that may be a secret, and libraries repeat nothing of it."""

import pytest
from pydantic import SecretStr

from steadyline.address import check_address, shown, without_address
from steadyline.bank.redis import RedisBank
from steadyline.errors import BankUnavailable
from steadyline.settings import RedisSettings


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("rtsp://10.0.0.5/cam", "rtsp://10.0.0.5/…"),
        ("rtsp://10.0.0.5:554", "rtsp://10.0.0.5:554"),
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/…"),
        ("http://localhost:4318/", "http://localhost:4318"),
        ("rtsp://[fe80::1]:554/cam?token=x", "rtsp://[fe80::1]:554/…"),
        ("rtsp://op:pass@10.0.0.5/cam", "rtsp://10.0.0.5/…"),
        ("rtsp://op:pass@word@10.0.0.5/cam", "rtsp://…"),
        ("rtsp://op:pass#word@10.0.0.5/cam", "rtsp://…"),
        ("rtsp://op:pass@word", "rtsp://…"),
        ("rtsp://op:pass/word@10.0.0.5/cam", "rtsp://…"),
        ("rtsp://10.0.0.5/cam?user=a@b", "rtsp://…"),
        ("rtsp://op:12345", "rtsp://…"),
        ("redis://secret", "redis://…"),
        ("op:pass@10.0.0.5", "…"),
        ("pass://10.0.0.5", "…"),
        ("file:///srv/store", "file:///srv/store"),
    ],
)
def test_scheme_and_host_are_shown_where_they_cannot_be_anything_else(address: str, told: str) -> None:
    assert shown(address) == told


@pytest.mark.parametrize("mark", ["#", "/", "?", "@", ":", "%", "&", "=", "[", " "])
def test_a_library_repeats_no_part_of_an_address(mark: str) -> None:
    address = f"redis://op:hunter{mark}2secret@cache.plant:6379/0"
    for said in (
        f"Error 111 connecting to {address}",
        "Port could not be cast to integer value as 'hunter'",
        "Name or service not known: HUNTER",
        f"invalid: hunter{mark}2secret",
    ):
        told = without_address(said, address)
        assert not any(part in told.lower() for part in ("hunter", "2secret"))


def test_what_is_shown_anyway_stays_in_the_message() -> None:
    told = without_address(
        "Error 111 connecting to 127.0.0.1:6379. Connection refused.", "redis://127.0.0.1:6379/0"
    )
    assert told == "Error 111 connecting to 127.0.0.1:6379. Connection refused."
    assert without_address("/srv/store: No space left", "file:///srv/store") == "/srv/store: No space left"


@pytest.mark.parametrize(
    "address",
    ["redis://h", "redis://h:1/0", "redis://:a%2Fb@h:6379", "redis://u:p:q@[::1]:6379/1", "redis://u@h?db=1"],
)
def test_an_address_of_one_meaning_is_taken(address: str) -> None:
    check_address(address, ("redis", "rediss"))


@pytest.mark.parametrize("secret", ["hunter2secret", "hunter%402secret", "hunter:2secret"])
def test_a_bank_that_is_away_repeats_nothing_of_its_address(secret: str) -> None:
    bank = RedisBank(RedisSettings(url=SecretStr(f"redis://op:{secret}@127.0.0.1:9/0")), "l")
    with pytest.raises(BankUnavailable, match=r"127\.0\.0\.1:9") as caught:
        bank.current("part")
    assert not any(part in str(caught.value) for part in ("hunter", "2secret"))
