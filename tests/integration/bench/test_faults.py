"""What the benches of faults and of the soak stand on: a proxy that is slow or hangs, true comparisons."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from bench.faults.catalogue import FAULTS, Fault
from bench.faults.measure import Row
from bench.faults.proxy import NEVER, Proxy
from bench.faults.soak import Sample, compared, is_flat, plot
from tests.support.eventually import eventually


@pytest.fixture
def echo() -> Iterator[str]:
    """A server that answers with what it was sent."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(100):
                    connection.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_a_proxy_passes_answers_on_late_or_once_it_may(echo: str) -> None:
    with Proxy(echo) as proxy:
        host, port = proxy.address.split(":")
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.sendall(b"one")
            assert connection.recv(100) == b"one"
            proxy.seconds = 0.4
            began = time.monotonic()
            connection.sendall(b"two")
            assert connection.recv(100) == b"two"
            assert time.monotonic() - began >= 0.4
            proxy.seconds = NEVER
            connection.sendall(b"three")
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.recv(100)
            proxy.seconds = 0.0
            connection.settimeout(10)
            assert connection.recv(100) == b"three"


def test_a_connection_to_a_server_that_is_away_ends(echo: str) -> None:
    with Proxy("127.0.0.1:1") as proxy:
        host, port = proxy.address.split(":")
        with socket.create_connection((host, int(port)), 10) as connection:
            eventually(lambda: connection.recv(1) == b"", 10, "the end of the connection")


def grown(memory: float, files: int) -> list[Sample]:
    """Samples of an hour whose last ten minutes need this much more."""
    late = 3000.0
    return [
        Sample(at, 100 + memory * (at >= late), 40 + files * (at >= late), at) for at in range(0, 3600, 10)
    ]


@pytest.mark.parametrize(
    ("memory", "files", "flat"), [(0, 0, True), (10, 1, True), (20, 0, False), (0, 10, False)]
)
def test_growth_between_the_first_and_the_last_ten_minutes_is_found(
    memory: float, files: int, flat: bool
) -> None:
    early, late = compared(grown(memory, files), 3600, 30)
    assert (early[0].at, late[0].at) == (30, 3000)
    assert is_flat(early, late) is flat


def test_a_plot_has_a_bar_for_each_part_of_the_time() -> None:
    assert plot([0, 1, 2, 4], 4) == " ▂▄█"
    assert len(plot(list(range(1000)), 60)) <= 60


def test_a_row_is_as_promised_only_when_nothing_is_lost_and_the_line_came_back() -> None:
    fault, loss = Fault("x", FAULTS[0].act), Fault("y", FAULTS[0].act, is_loss=True)
    whole = {"missing": 0, "doubled": 0, "out_of_order": 0}
    assert Row(fault, whole, caught_up=1.0).is_as_promised
    assert not Row(fault, whole).is_as_promised
    assert not Row(fault, {**whole, "missing": 1}, caught_up=1.0).is_as_promised
    assert Row(loss, {**whole, "missing": 1}, caught_up=1.0).is_as_promised
    assert not Row(loss, {**whole, "doubled": 1}, caught_up=1.0).is_as_promised
    assert not Row(fault, caught_up=1.0).is_as_promised


def test_every_fault_has_a_name_of_its_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
