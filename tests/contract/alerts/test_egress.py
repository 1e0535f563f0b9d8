"""Where deliveries may go, held against what would lead them into the plant's own network."""

import pytest

from alerts.deliveries.egress import EgressGuard, EgressRules
from alerts.deliveries.failure import AddressRefused, EndpointUnreachable
from alerts.deliveries.http_client import HttpClient, HttpLimits
from steadyline.errors import InvalidConfiguration
from tests.support.webhook_receiver import webhook_receiver

NEVER = [
    *("0.0.0.0", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "100.64.0.1", "192.0.0.8"),
    *("169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%lo", "fec0::1", "::", "ff02::1", "ff0e::1"),
    *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::a00:1", "2002:7f00:1::", "2001:0:7f00:1::1"),
    *("192.0.2.1", "198.18.0.1", "203.0.113.9", "2001:db8::1"),
]
PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "::1",
    "fd00::1",
]
OPEN = ["8.8.8.8", "93.184.215.14", "172.32.0.1", "2606:4700::1111", "2a00:1450:4001::1"]


class ChangingNames:
    """A resolver whose answer is another one each time, as an attacker's is."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    def __call__(self, host: str, port: int) -> list[str]:
        return self.answers.pop(0)


@pytest.mark.parametrize("address", NEVER + PRIVATE)
def test_an_address_of_no_internet_host_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        EgressRules().check(address)


@pytest.mark.parametrize("address", OPEN)
def test_an_address_of_the_internet_is_permitted(address: str) -> None:
    EgressRules().check(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_setting_allows_private_addresses(address: str) -> None:
    EgressRules.of(allow_private=True).check(address)


@pytest.mark.parametrize("address", NEVER)
def test_that_setting_allows_nothing_else(address: str) -> None:
    with pytest.raises(AddressRefused):
        EgressRules.of(allow_private=True).check(address)


def test_a_network_can_be_allowed_by_name() -> None:
    rules = EgressRules.of(False, ["192.168.7.0/24"])
    rules.check("192.168.7.9")
    with pytest.raises(AddressRefused):
        rules.check("192.168.8.9")
    with pytest.raises(InvalidConfiguration):
        EgressRules.of(False, ["192.168.7.9/24"])


def test_of_several_addresses_only_the_permitted_ones_are_connected_to() -> None:
    guard = EgressGuard(EgressRules(), ChangingNames(["127.0.0.1", "8.8.8.8", "::1"], ["10.0.0.1"], []))
    assert guard.addresses("plant.example", 443) == ["8.8.8.8"]
    with pytest.raises(AddressRefused):
        guard.addresses("plant.example", 443)
    with pytest.raises(EndpointUnreachable):
        guard.addresses("plant.example", 443)


def test_a_name_of_which_one_address_is_refused_is_none_to_connect_to_by_name() -> None:
    guard = EgressGuard(EgressRules.of(True), lambda host, port: ["10.0.0.1", "169.254.169.254"])
    assert guard.addresses("a.example", 80) == ["10.0.0.1"]
    with pytest.raises(AddressRefused, match=r"169\.254\.169\.254"):
        guard.check("a.example", 80)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0", "[::1]", "127.1"])
def test_no_way_to_write_this_machine_reaches_it(host: str) -> None:
    client = HttpClient(EgressGuard(EgressRules()), HttpLimits())
    with webhook_receiver() as receiver:
        port = receiver.url.split(":")[2]
        with pytest.raises((AddressRefused, EndpointUnreachable)):
            client.post(f"http://{host}:{port}", {}, b"{}")
        assert receiver.connections == []


def test_a_name_that_leads_elsewhere_once_it_was_checked_leads_nowhere_else() -> None:
    with webhook_receiver(host="127.0.0.2") as permitted:
        port = int(permitted.url.split(":")[2].split("/")[0])
        with webhook_receiver(host="127.0.0.1", port=port) as forbidden:
            names = ChangingNames(["127.0.0.2"], ["127.0.0.1"])
            client = HttpClient(EgressGuard(EgressRules.of(False, ["127.0.0.2/32"]), names), HttpLimits())
            assert client.post(f"http://plant.example:{port}/", {}, b"{}").status == 200
            assert permitted.seen[0].headers["host"] == f"plant.example:{port}"
            client.close()  # a connection that is kept would ask for no name
            other = HttpClient(EgressGuard(EgressRules.of(False, ["127.0.0.2/32"]), names), HttpLimits())
            with pytest.raises(AddressRefused):
                other.post(f"http://plant.example:{port}/", {}, b"{}")
            assert forbidden.connections == []
            assert names.answers == []
