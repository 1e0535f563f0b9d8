"""Addresses: what the stack started, completed by what exists."""

from steadyline.servers import Addresses

FULL = Addresses("k:1", "redis://r:2/0", "t:3", "t:4", "key", "/repository")


def test_services_find_only_what_is_there() -> None:
    assert Addresses(kafka_bootstrap="k:1").environment() == {"KAFKA_BOOTSTRAP_SERVERS": "k:1"}


def test_every_server_has_its_variable() -> None:
    assert set(FULL.environment()) == {
        "KAFKA_BOOTSTRAP_SERVERS",
        "REDIS_URL",
        "TRITON_URL",
        "TRITON_ADMIN_KEY",
        "TRITON_REPOSITORY",
    }


def test_what_is_empty_is_taken_from_the_other() -> None:
    own = Addresses(redis_url="redis://own:9/0")
    assert own.completed_by(FULL.only({"kafka", "redis"})) == Addresses("k:1", "redis://own:9/0")
