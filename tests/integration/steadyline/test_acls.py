"""A line on a broker that refuses what no right allows: all of it runs, and nobody reaches for more."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from typing import Any

import pytest

from steadyline.contracts.topics import Topics
from steadyline.errors import LoginRefused, NotAllowed
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.ops.doctor.clocks import clock_topic
from steadyline.picture import encode_png
from steadyline.servers import Addresses
from steadyline.service import EXIT_FAILED, EXIT_FATAL, EXIT_OK
from steadyline.settings import KafkaSettings
from tests.support.eventually import eventually
from tests.support.guarded_kafka import (
    CLUSTER_REFUSED,
    GROUP_REFUSED,
    REFUSALS,
    TOPIC_REFUSED,
    TRANSACTION_REFUSED,
    GuardedKafka,
    Stranger,
    guarded_kafka,
)
from tests.support.line_under_test import LineUnderTest
from tests.support.models import a_defective_picture
from tests.support.scorer_line import ScorerLine
from tests.support.servers import ROOT, new_home, remove, require

pytestmark = pytest.mark.servers

SERVICES = ("producers", "scorer", "trainer", "alerts", "steadyline")
NOBODY = "nobody"
FRAMES = 10  # of each camera
ANSWERED_WITHIN = 60.0


@dataclass(frozen=True)
class GuardedLines:
    """Two lines on one broker; ``one`` runs, and both have the rights that ``topics acls`` prints."""

    kafka: GuardedKafka
    one: ScorerLine
    two: LineUnderTest

    def user(self, service: str, line: str = "one") -> dict[str, str]:
        """Return the environment of a service of a line."""
        return self.kafka.user(f"{line}-{service}")

    def own_and_other(self, whose: str) -> tuple[LineUnderTest, LineUnderTest]:
        """Return the line of this name, and the one beside it."""
        return (self.one, self.two) if whose == "one" else (self.two, self.one)

    def tool(self, line: LineUnderTest, *arguments: str) -> Any:
        """Run ``steadyline`` on a line as its operator; return what it did."""
        whose = "one" if line is self.one else "two"
        return line.steadyline(*arguments, "--line", str(line.line_file), **self.user("steadyline", whose))


@pytest.fixture(scope="module")
def kafka() -> Iterator[GuardedKafka]:
    """A broker of this module alone, with users of both lines and one of no line."""
    require(["kafka"])
    home = new_home()
    users = [f"{line}-{service}" for line in ("one", "two") for service in SERVICES]
    with guarded_kafka(home, ROOT / ".cache/kafka", [*users, NOBODY]) as running:
        yield running
    remove(home)


@pytest.fixture(scope="module")
def lines(
    kafka: GuardedKafka, addresses: Addresses, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GuardedLines]:
    where = replace(addresses, kafka_bootstrap=kafka.administrators)
    home = tmp_path_factory.mktemp("one")
    (home / "pictures").mkdir()
    for number in range(FRAMES):
        (home / "pictures" / f"{number:02}.png").write_bytes(encode_png(a_defective_picture(32)))
    one = ScorerLine(home, where, "folder:./pictures?fps=5", "block")
    two = LineUnderTest(tmp_path_factory.mktemp("two"), where)
    two.write_line(f"line: two\ntopics: {{prefix: {two.name}, partitions: 1}}\nproducts: {{part: {{}}}}\n")
    for name, line in (("one", one), ("two", two)):
        users = [f"--user={service}=User:{name}-{service}" for service in SERVICES]
        printed = line.steadyline("topics", "acls", "--line", str(line.line_file), "--json", *users)
        assert printed.returncode == EXIT_OK, printed.stderr
        kafka.allow(json.loads(printed.stdout))
        line.broker.create_topics([clock_topic(line.name)])
    made = GuardedLines(kafka, one, two)
    created = made.tool(two, "topics", "create")
    assert created.returncode == EXIT_OK, created.stdout + created.stderr
    yield made
    one.close()
    two.close()


def test_the_whole_line_runs_with_these_rights_and_its_tools_too(lines: GuardedLines) -> None:
    line = lines.one
    line.put_in_service()
    scorer = line.start("a", **lines.user("scorer"))
    alerts = line.start_service("alerts", environment=lines.user("alerts") | _alerts(line))
    work = {"TRAINER_WORK": str(line.home / "trainer")}
    trainer = line.start_service("trainer", environment=lines.user("trainer") | work)
    producers = line.start_producers(**lines.user("producers"))
    line.until_scored(FRAMES * len(line.cameras))
    assert producers.wait() == EXIT_OK
    assert {score.verdict for score in line.scores()} == {"anomalous"}
    eventually(lambda: line.read_topic(line.topics.alerts.name), ANSWERED_WITHIN, "an alert")
    trainer.until_said("history_read")

    # An order of the operator, and the trainer's answer.
    refused = lines.tool(line, "models", "promote", line.product, "99", "--wait", "--within", "60")
    assert refused.returncode == EXIT_FAILED, refused.stdout + refused.stderr
    assert "refused: promote" in refused.stdout + refused.stderr
    audit = lines.tool(line, "audit", "--json")
    assert audit.returncode == EXIT_OK, audit.stdout + audit.stderr
    assert json.loads(audit.stdout)["totals"]["scored"] == FRAMES * len(line.cameras)
    doctor = json.loads(lines.tool(line, "doctor", "--json").stdout)["findings"]
    found = {item["check"]: item["state"] for item in doctor}
    assert {found[name] for name in ("Kafka", "clock of Kafka", "size limits", "version of Kafka")} == {"ok"}
    assert {found[f"topic {topic.name}"] for topic in line.topics} == {"ok"}

    for service in (scorer, alerts, trainer):
        assert service.is_alive, service.tail()
    assert not [process.tail() for process in line.started if "AuthorizationFailed" in process.text()]
    for service in (scorer, alerts, trainer):
        service.kill()


def test_the_operator_who_made_the_topics_of_the_line_mends_them_too(lines: GuardedLines) -> None:
    text = lines.two.line_file.read_text(encoding="utf-8")
    lines.two.write_line(text.replace("partitions: 1", "partitions: 2"))
    mended = lines.tool(lines.two, "topics", "create", "--mend", "--json")
    assert mended.returncode == EXIT_OK, mended.stderr
    assert len(json.loads(mended.stdout)["mended"]) == 3


def test_a_user_without_the_right_is_told_so_and_what_gives_it(lines: GuardedLines) -> None:
    wrong = lines.one.steadyline(
        "topics", "create", "--line", str(lines.one.line_file), **lines.kafka.user(NOBODY)
    )
    assert wrong.returncode not in (EXIT_OK, EXIT_FAILED)
    assert "TopicAuthorizationFailed" in wrong.stderr
    assert "steadyline topics acls" in wrong.stderr


def test_a_deleted_user_stays_where_it_is_let_in_and_comes_in_nowhere_else(lines: GuardedLines) -> None:
    """Kafka's default: it looks at a login when a connection is made, and never again."""
    topic, settings = lines.one.topics.frames.name, _settings(lines.kafka.user(NOBODY))
    with lines.kafka.stranger(NOBODY) as stranger:
        assert stranger.look([topic]) == {topic: TOPIC_REFUSED}
        lines.kafka.delete([NOBODY])
        assert stranger.look([topic]) == {topic: TOPIC_REFUSED}
        with closing(KafkaBroker(settings, "late")) as late, pytest.raises(LoginRefused, match="the user"):
            late.topic_ids([topic])
    lines.kafka.know([NOBODY])
    with closing(KafkaBroker(settings, "later")) as later, pytest.raises(NotAllowed, match=topic):
        later.topic_ids([topic])


def test_a_scorer_that_takes_a_group_of_another_line_ends_and_names_what_was_refused(
    lines: GuardedLines,
) -> None:
    group = f"{lines.two.name}.scorer"
    scorer = lines.one.start("thief", **lines.user("scorer"), SCORER_GROUP=group)
    assert scorer.wait() == EXIT_FATAL, scorer.tail()
    [ended] = scorer.said("scorer_ended")
    assert "AuthorizationFailed" in ended["error"]
    assert group in ended["error"]


@pytest.mark.parametrize("service", [*SERVICES, NOBODY])
@pytest.mark.parametrize("whose", ["one", "two"])
def test_a_service_is_refused_every_topic_that_the_registry_does_not_give_it(
    lines: GuardedLines, whose: str, service: str
) -> None:
    both = lines.own_and_other(whose)
    own, other = (line.topics for line in both)
    doctors = [clock_topic(line.name).name for line in both]
    kafkas = {"__consumer_offsets", "__transaction_state"}
    foreign = [*(topic.name for topic in other), doctors[1], *kafkas, "x.y"]
    every = [*(topic.name for topic in own), doctors[0], *foreign]
    readable = {topic.name for topic in own if service in topic.readers}
    writable = {topic.name for topic in own if service in topic.writers}
    mine = {topic.name for topic in own} | {doctors[0]} if service == "steadyline" else set()
    seen = readable | writable | mine
    if service == "steadyline":
        readable, writable = readable | {doctors[0]}, writable | {doctors[0]}
        seen |= kafkas
    with _stranger(lines, whose, service) as stranger:
        assert _allowed(stranger.read, every, TOPIC_REFUSED) == readable
        assert _allowed(stranger.write, every, TOPIC_REFUSED) == writable
        assert _allowed(stranger.look, every, TOPIC_REFUSED) == seen
        assert _allowed(stranger.make, every, TOPIC_REFUSED) == mine
        assert _allowed(stranger.change, every, TOPIC_REFUSED) == mine - {doctors[0]}
        assert _allowed(stranger.empty, every, TOPIC_REFUSED) == set()
        assert _allowed(stranger.delete, every, TOPIC_REFUSED) == set()
        assert stranger.rights(f"User:{whose}-{service}") == CLUSTER_REFUSED
        assert (stranger.write_idempotently() == CLUSTER_REFUSED) == (service == NOBODY)


@pytest.mark.parametrize("service", [*SERVICES, NOBODY])
@pytest.mark.parametrize("whose", ["one", "two"])
def test_a_service_is_refused_every_group_and_transaction_but_its_own(
    lines: GuardedLines, whose: str, service: str
) -> None:
    own_line, other_line = lines.own_and_other(whose)
    one, two = own_line.name, other_line.name
    groups = [f"{prefix}.{name}" for prefix in (one, two) for name in ("scorer", "alerts", "trainer")]
    every = [*groups, "steadyline-doctor", "x"]
    own = {f"{one}.{service}"} if service in ("scorer", "alerts") else set()
    measured = {f"{one}.scorer"} if service in ("alerts", "steadyline") else set()
    names = [f"{group}{tail}" for group in groups for tail in ("", ".a", "x.a")]
    ours = {name for name in names if name.startswith(f"{one}.{service}.")} if own else set()
    with _stranger(lines, whose, service) as stranger:
        assert _allowed(stranger.join, every, GROUP_REFUSED) == own
        frames = own_line.topics.frames.name
        assert _allowed(lambda names: stranger.commit(names, frames), every, GROUP_REFUSED) == own
        assert _allowed(stranger.describe, every, GROUP_REFUSED) == own | measured
        assert _allowed(stranger.drop, every, GROUP_REFUSED) == set()
        assert _allowed(stranger.fence, names, TRANSACTION_REFUSED) == ours


def test_the_rights_follow_the_registry_and_not_this_test(lines: GuardedLines) -> None:
    topics: Topics = lines.one.topics
    assert {name for topic in topics for name in (*topic.writers, *topic.readers)} == set(SERVICES)


def _stranger(lines: GuardedLines, whose: str, service: str) -> AbstractContextManager[Stranger]:
    return lines.kafka.stranger(service if service == NOBODY else f"{whose}-{service}")


def _allowed(
    ask: Callable[[Sequence[str]], Mapping[str, int]], names: Sequence[str], refusal: int
) -> set[str]:
    """Return the names for which the broker's answer is no refusal; every refusal is of the right kind."""
    answers = ask(names)
    assert answers.keys() == set(names)
    assert {code for code in answers.values() if code in REFUSALS} <= {refusal}
    return {name for name, code in answers.items() if code not in REFUSALS}


def _settings(environment: Mapping[str, str]) -> KafkaSettings:
    given = {name.removeprefix("KAFKA_").lower(): value for name, value in environment.items()}
    return KafkaSettings.model_validate(given)


def _alerts(line: LineUnderTest) -> dict[str, str]:
    return {"ALERTS_DATABASE": f"sqlite:///{line.home / 'alerts.db'}", "ALERTS_API_PORT": "0"}
