"""Ports: free, different, kept."""

import socket
from pathlib import Path

from steadyline.servers.ports import FIRST, LAST, KeptPorts, free_ports, is_free


def test_free_ports_are_different_and_below_the_range_of_outgoing_connections() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(FIRST <= port <= LAST for port in ports)


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_a_home_keeps_its_ports(tmp_path: Path) -> None:
    first = KeptPorts(tmp_path / "kafka" / "ports", 2).numbers
    assert KeptPorts(tmp_path / "kafka" / "ports", 2).numbers == first


def test_ports_that_a_stranger_has_taken_are_chosen_anew(tmp_path: Path) -> None:
    kept = KeptPorts(tmp_path / "ports", 1)
    [taken] = kept.numbers
    assert not kept.choose_if_taken()
    with socket.create_server(("127.0.0.1", taken)):
        assert kept.choose_if_taken()
    assert kept.numbers != [taken]
