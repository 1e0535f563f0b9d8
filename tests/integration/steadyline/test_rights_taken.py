"""A service whose rights are taken while it runs says so, loses nothing, and goes on with them back."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from steadyline.picture import encode_png
from steadyline.servers import Addresses
from steadyline.service import EXIT_FATAL, EXIT_OK
from tests.support.guarded_kafka import GuardedKafka, guarded_kafka
from tests.support.models import a_defective_picture
from tests.support.scorer_line import ScorerLine
from tests.support.servers import ROOT, new_home, remove, require

pytestmark = pytest.mark.servers

SERVICES = ("producers", "scorer", "trainer", "alerts", "steadyline")
WITHIN = 120.0


@pytest.fixture(scope="module")
def kafka() -> Iterator[GuardedKafka]:
    """A broker of this module alone, with one user for each service of the line."""
    require(["kafka"])
    home = new_home()
    with guarded_kafka(home, ROOT / ".cache/kafka", SERVICES) as running:
        yield running
    remove(home)


def test_a_scorer_whose_rights_are_taken_says_so_and_scores_the_rest_once_it_has_them_back(
    kafka: GuardedKafka, addresses: Addresses, tmp_path: Path
) -> None:
    line = ScorerLine(tmp_path, replace(addresses, kafka_bootstrap=kafka.administrators))
    users = [f"--user={service}=User:{service}" for service in SERVICES]
    printed = line.steadyline("topics", "acls", "--line", str(line.line_file), "--json", *users)
    assert printed.returncode == EXIT_OK, printed.stderr
    rights = json.loads(printed.stdout)
    kafka.allow(rights)
    line.put_in_service()
    picture = encode_png(a_defective_picture(32))
    scorer = line.start("a", **kafka.user("scorer"))
    try:
        for _ in range(5):
            line.send_picture("east-0", picture)
        line.until_scored(5, WITHIN)

        kafka.take("scorer")
        for _ in range(5):
            line.send_picture("east-0", picture)
        status = scorer.wait(WITHIN)

        assert status == EXIT_FATAL, scorer.tail()
        [ended] = scorer.said("scorer_ended")
        assert ended["reason"] == "fatal"
        assert "AuthorizationFailed" in ended["error"]
        assert "steadyline topics acls" in ended["error"]

        kafka.allow(rights)
        line.start("a", **kafka.user("scorer"))
        account = line.until_accounted(WITHIN)
        account.assert_intact()
    finally:
        line.close()
