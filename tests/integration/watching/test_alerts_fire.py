"""Alerts of a real Prometheus fire when their cause is made for real, and are quiet before.

The windows and the patience of the rules are a thirtieth of what they are in a plant; the expressions are the
same. ``make verify-dashboards`` then makes a cause of every alert.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.watching.prometheus import Prometheus, ScrapeTarget
from steadyline.picture import encode_png
from steadyline.servers import Addresses
from steadyline.service import EXIT_OK
from tests.packaging.rules import ROOT
from tests.support.eventually import eventually
from tests.support.models import a_plain_picture
from tests.support.prometheus import require_prometheus
from tests.support.scorer_line import ScorerLine
from tests.support.service_process import ServiceProcess

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(
        not os.environ.get("VERIFY_ALERTS"),
        reason="its windows are a thirtieth of a plant's, and a busy machine fires alerts by itself: "
        "make verify-dashboards runs it",
    ),
]

RULES = sorted((ROOT / "deploy" / "rules").glob("*.yaml"))
FACTOR = 30.0
FIRED_WITHIN = 60.0
OF_TRITON = (
    "SteadylineTritonAway",
    "SteadylineCanaryWrong",
    "SteadylineNotReady",
    "SteadylineNoScorerReady",
    "SteadylineNoScores",
)


class PrometheusLine(ScorerLine):
    """A line whose producers and scorer a Prometheus scrapes; all cameras show the folder ``pictures``."""

    def __init__(self, home: Path, addresses: Addresses, prometheus: Prometheus) -> None:
        self.pictures = home / "pictures"
        self.pictures.mkdir()
        for number in range(4):
            (self.pictures / f"{number}.png").write_bytes(encode_png(a_plain_picture(32)))
        super().__init__(home, addresses, f"folder:{self.pictures}?fps=5&loop=true")
        self.prometheus = prometheus

    def scrape(self, **processes: ServiceProcess) -> None:
        """Scrape these processes, by the service that each is."""
        self.prometheus.scrape(
            [ScrapeTarget(job, self.name, process.port()) for job, process in processes.items()]
        )

    @contextmanager
    def alerted(self, *alerts: str) -> Iterator[None]:
        """Check that none of these alerts fires; after what is done within, wait until all of them do."""
        caused = set(alerts)
        eventually(lambda: not caused & self.prometheus.firing(), FIRED_WITHIN, f"{caused} are quiet")
        yield
        eventually(lambda: caused <= self.prometheus.firing(), FIRED_WITHIN, f"{caused} fire")


@pytest.fixture
def watched(tmp_path: Path, addresses: Addresses) -> Iterator[PrometheusLine]:
    require_prometheus()
    with Prometheus(tmp_path / "prometheus", RULES, FACTOR) as prometheus:
        made = PrometheusLine(tmp_path, addresses, prometheus)
        yield made
        made.close()


def test_alerts_fire_when_their_causes_are_made(watched: PrometheusLine) -> None:
    watched.put_in_service()
    scorer = watched.start("a")
    producers = watched.start_producers()
    watched.scrape(scorer=scorer, producers=producers)
    watched.until_scored(20)
    eventually(lambda: watched.prometheus.value("sum(up)") == 2, 30, "both are scraped")

    with watched.alerted("SteadylineDeadLetters"):
        watched.send_picture("east-0", b"no picture")
        watched.flush()
    with watched.alerted(*OF_TRITON):
        watched.triton.unload(watched.product)
    with watched.alerted("SteadylineCameraDown"):
        watched.pictures.rename(watched.pictures.with_suffix(".away"))
    with watched.alerted("SteadylineProcessDown"):
        scorer.kill()
    assert producers.stop() == EXIT_OK
