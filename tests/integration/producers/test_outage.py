"""A camera outlives an outage of the broker, and its producer's death in the middle of one."""

from collections.abc import Callable

import pytest

from steadyline.servers import LocalStack
from tests.support.eventually import eventually
from tests.support.producers_line import ProducersLine

pytestmark = pytest.mark.servers

MakePlant = Callable[[], tuple[ProducersLine, LocalStack]]


def spooled(plant: ProducersLine, camera: str, at_least: int, epochs: int = 1) -> bool:
    """True when there are so many open epochs of ``camera`` and the newest has spooled so many bytes."""
    folders = sorted(path for path in (plant.state / camera).glob("*") if path.name.isdigit())
    sizes = [path.stat().st_size for path in folders[-1].glob("*.frames") if path.exists()]
    return len(folders) == epochs and sum(sizes) >= at_least


def test_an_outage_and_two_kills_lose_no_spooled_frame(own_plant: MakePlant) -> None:
    plant, servers = own_plant()
    plant.describe(
        """
        id: c1, product: part, source: "synthetic:?fps=100&size=64&distinct=50", when_behind: spool
        id: c2, product: part, source: "synthetic:?fps=100&size=64&distinct=50", when_behind: drop_oldest
        """
    )
    plant.create_topics()
    small = {"PRODUCERS_IN_FLIGHT_BYTES": "100000", "PRODUCERS_QUEUE_FRAMES": "20"}
    running = plant.start(**small)
    plant.eventually_status("c1", state="up")
    plant.eventually_status("c2", state="up")

    servers.kafka.kill9()
    eventually(lambda: spooled(plant, "c1", 300_000), 30, "frames in the spool")
    servers.kafka.restart()
    up_again = plant.latest("c1")[-1].captured
    eventually(lambda: plant.latest("c1")[-1].published > up_again, 40, "publishing goes on")
    running.kill()  # while frames are in flight

    servers.kafka.kill9()
    running = plant.start(**small)
    eventually(lambda: spooled(plant, "c1", 300_000, epochs=2), 30, "frames in the spool without any broker")
    running.kill()  # with no broker to tell

    servers.kafka.restart()
    running = plant.start(**small)
    eventually(
        lambda: [s.state for s in plant.latest("c1")] == ["ended", "ended", "up"], 60, "two closed books"
    )
    assert running.stop() == 0
    spool = plant.assert_accounts_closed("c1")
    assert [final.reason for final in spool] == ["producer_killed", "producer_killed", "stopped"]
    for final in spool:
        assert set(final.dropped) <= {"producer_killed"}
        assert sum(final.dropped.values()) <= 1  # the frame that was just being written
    first, second, _ = plant.assert_accounts_closed("c2")
    assert first.dropped["drop_oldest"] > 0
    assert first.published > 0
    assert second.published == 0


def test_a_bounded_spool_drops_the_newest_and_says_so(own_plant: MakePlant) -> None:
    plant, servers = own_plant()
    plant.describe(
        'id: c1, product: part, source: "synthetic:?fps=100&size=64&distinct=50", when_behind: spool'
    )
    plant.create_topics()
    running = plant.start(PRODUCERS_SPOOL_BYTES="200000", PRODUCERS_IN_FLIGHT_BYTES="50000")
    plant.eventually_status("c1", state="up")
    servers.kafka.suspend()
    eventually(lambda: spooled(plant, "c1", 190_000), 30, "a full spool")
    eventually(lambda: "spool_full" in plant.state_of("c1"), 10, "a drop in the account on disk")
    servers.kafka.resume()
    eventually(lambda: plant.latest("c1")[-1].dropped.get("spool_full", 0) > 0, 30)
    assert running.stop() == 0
    (final,) = plant.assert_accounts_closed("c1")
    assert set(final.dropped) == {"spool_full"}
