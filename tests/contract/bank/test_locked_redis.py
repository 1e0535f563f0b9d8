"""The bank in a Redis that is locked: encrypted, with a user of its own, and no right more than it needs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_client
from pydantic import SecretStr

from steadyline.bank.redis import RedisBank
from steadyline.errors import BankUnavailable
from steadyline.settings import RedisSettings
from tests.support.banks import a_manifest, some_entries
from tests.support.certificates import CertificateAuthority
from tests.support.locked_servers import LockedRedis, a_folder, running, user_of_redis
from tests.support.servers import require

pytestmark = pytest.mark.servers

LINE, PRODUCT = "line-1", "tile"
REFUSED = r"(?i)permission|not allowed from script|can't run this"
WRITER, READER = ("trainer", "writes-banks"), ("alerts", "reads-banks")


@pytest.fixture(scope="module")
def locked() -> Iterator[LockedRedis]:
    require(("redis",))
    users = [user_of_redis(*WRITER, LINE), user_of_redis(*READER, LINE, writes=False)]
    with a_folder() as folder:
        server = LockedRedis(folder / "home", CertificateAuthority(folder / "certificates"), users)
        with running(server):
            yield server


def settings_of(locked: LockedRedis, user: tuple[str, str]) -> RedisSettings:
    """Return the settings of one of the users, as the environment gives them."""
    given = locked.environment(*user)
    return RedisSettings.model_validate(
        {name.removeprefix("REDIS_").lower(): value for name, value in given.items()}
    )


@pytest.fixture
def bank(locked: LockedRedis) -> Iterator[RedisBank]:
    """The bank of the user who writes."""
    made = RedisBank(settings_of(locked, WRITER), LINE)
    yield made
    made.close()


@pytest.fixture
def reader(locked: LockedRedis) -> Iterator[RedisBank]:
    """The bank of the user who reads."""
    made = RedisBank(settings_of(locked, READER), LINE)
    yield made
    made.close()


def test_a_user_with_the_rights_of_a_writer_does_all_that_the_trainer_does(bank: RedisBank) -> None:
    bank.write(a_manifest(PRODUCT, 1, 70), some_entries(70))
    bank.write(a_manifest(PRODUCT, 2, 3), some_entries(3))
    assert bank.read(PRODUCT, 2) == some_entries(3)
    tokens = bank.acquire_leases({PRODUCT: 4}, "a", 20)
    assert tokens[PRODUCT] > 4
    assert bank.acquire_leases({PRODUCT: 4}, "b", 20) == {PRODUCT: 0}
    bank.release_leases([PRODUCT], "a")
    assert bank.holder(PRODUCT) is None
    assert bank.memory().policy == "noeviction"
    assert bank.server_time() > 0


def test_a_user_with_the_rights_of_a_reader_sees_it_all_and_changes_nothing(
    bank: RedisBank, reader: RedisBank
) -> None:
    bank.write(a_manifest("seen", 1, 3), some_entries(3))
    bank.acquire_leases({"seen": 0}, "a", 20)
    manifest = reader.current("seen")
    assert manifest is not None
    assert (manifest.version, reader.read("seen", 1)) == (1, some_entries(3))
    assert (reader.holder("seen"), reader.memory().policy) == ("a", "noeviction")
    for act in (
        lambda: reader.write(a_manifest("seen", 2, 3), some_entries(3)),
        lambda: reader.acquire_leases({"seen": 0}, "b", 20),
        lambda: reader.release_leases(["seen"], "a"),
    ):
        with pytest.raises(BankUnavailable, match="give the user of REDIS_URL the rights"):
            act()
    assert reader.holder("seen") == "a"


def test_another_line_of_the_same_redis_is_closed(locked: LockedRedis, bank: RedisBank) -> None:
    other = RedisBank(settings_of(locked, WRITER), "line-2")
    for name in (other, RedisBank(settings_of(locked, WRITER), "line-10")):
        with pytest.raises(BankUnavailable, match="rights"):
            name.current(PRODUCT)
        name.close()


@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("CONFIG", "GET", "*"),
        ("CONFIG", "SET", "maxmemory", "1"),
        ("ACL", "LIST"),
        ("KEYS", "*"),
        ("SCAN", "0"),
        ("SAVE",),
        ("SHUTDOWN", "NOSAVE"),
        ("REPLICAOF", "127.0.0.1", "1"),
        ("MODULE", "LIST"),
        ("MONITOR",),
        ("CLIENT", "KILL", "ID", "1"),
        ("SCRIPT", "FLUSH"),
        ("PUBLISH", "any", "text"),
        ("SET", "other", "1"),
        ("GET", "other"),
        ("SET", "bank:{line-2/tile}:current", "1"),
        ("EVAL", "return redis.call('GET', KEYS[1])", "1", "other"),
        ("EVAL", "return redis.call('FLUSHALL')", "0"),
        ("EVAL", "return redis.call('CONFIG', 'GET', '*')", "0"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("user", [WRITER, READER], ids=lambda user: user[0])
def test_whatever_else_redis_can_do_is_refused(
    locked: LockedRedis, user: tuple[str, str], command: tuple[str, ...]
) -> None:
    given = locked.environment(*user)
    files = {
        "ssl_ca_certs": given["REDIS_SSL_CA_LOCATION"],
        "ssl_certfile": given["REDIS_SSL_CERTIFICATE_LOCATION"],
        "ssl_keyfile": given["REDIS_SSL_KEY_LOCATION"],
    }
    with (
        redis_client.Redis.from_url(given["REDIS_URL"], **files) as client,
        pytest.raises(redis_client.RedisError, match=REFUSED),
    ):
        client.execute_command(*command)


def test_certificates_that_were_replaced_are_taken_up_by_the_next_connection(tmp_path: Path) -> None:
    require(("redis",))
    authority = CertificateAuthority(tmp_path / "certificates")
    locked = LockedRedis(tmp_path / "home", authority, [user_of_redis(*WRITER, LINE)])
    with running(locked):
        bank = RedisBank(settings_of(locked, WRITER), LINE)
        bank.write(a_manifest(PRODUCT, 1, 3), some_entries(3))
        another = CertificateAuthority(tmp_path / "certificates")
        another.server("redis")
        locked.process.restart()  # it has the new certificate, and believes the new authority alone
        with pytest.raises(BankUnavailable):
            bank.current(PRODUCT)
        another.client(f"redis-{WRITER[0]}")
        assert bank.current(PRODUCT) is None  # it holds nothing on disk
        bank.close()


def test_a_redis_without_a_password_in_its_address_says_what_to_do(locked: LockedRedis) -> None:
    settings = settings_of(locked, WRITER)
    bare = settings.model_copy(update={"url": SecretStr(f"rediss://127.0.0.1:{locked.port}/0")})
    bank = RedisBank(bare, LINE)
    with pytest.raises(BankUnavailable, match=r"write the user and the password .* into REDIS_URL"):
        bank.current(PRODUCT)
    bank.close()
