"""Compare the broker's topics with the registry, and the size limits along the way of a frame."""

from collections.abc import Mapping

from steadyline.clock import Clock
from steadyline.contracts.topics import MAX_REQUEST_BYTES, Topic, Topics
from steadyline.kafka.acls import INTERNAL
from steadyline.kafka.broker import Broker
from steadyline.kafka.client.connection import FETCH_BYTES
from steadyline.kafka.shared_prefix import REMEDY, lines_beside
from steadyline.line import Line
from steadyline.ops.doctor.finding import Report

CREATE = "`steadyline topics create --line LINE` makes what is missing"
MEND = "`steadyline topics create --mend --line LINE` changes the topic"
GROW = (
    "`steadyline topics create --mend --line LINE` adds partitions; then start the scorers again. Frames of "
    "a camera that lie on its former partition may be scored out of order"
)
SET_PARTITIONS = (
    "partitions cannot be taken away: set topics.partitions of the line file to the most that a topic of the "
    "line has. Where another one has fewer, "
)
# KAFKA-20734: what a partition without a leader is taken for, from this release on.
LOSES_MARKERS = (4, 3)
MARKERS = (
    "use Kafka 4.2, or a release whose notes name KAFKA-20734 as mended, or give each topic of the line "
    "three replicas on as many brokers (kafka-reassign-partitions)"
)
MOVE = (
    "no setting of a topic changes its replicas: `kafka-reassign-partitions --execute` puts each partition "
    "on {wanted} brokers, also those of Kafka's own topics, which a new cluster makes by "
    "offsets.topic.replication.factor and transaction.state.log.replication.factor. A topic that nobody "
    "needs may be deleted instead: `steadyline topics create` makes it anew with {wanted}"
)
Described = Mapping[str, tuple[int, dict[str, str]]]


def look_at_topics(topics: Topics, broker: Broker, report: Report) -> Described:
    """Compare every topic of a line with what the broker has, which is returned; raises BrokerUnavailable."""
    described = broker.describe_topics([topic.name for topic in topics])
    for topic in topics:
        compare(topic, described, report)
    compare_sizes(topics, described, report)
    if topics.frames.replication.factor is not None:
        compare_replicas(topics, broker.replicas([*described, *INTERNAL]), report)
    return described


def compare(topic: Topic, described: Described, report: Report) -> None:
    """Check that one topic is there, with as many partitions and the same settings."""
    check = f"topic {topic.name}"
    if topic.name not in described:
        report.failed(check, "missing", CREATE)
        return
    partitions, settings = described[topic.name]
    if partitions != topic.partitions:
        report.failed(
            check,
            f"{partitions} partitions, the line file says {topic.partitions}",
            GROW if partitions < topic.partitions else SET_PARTITIONS + GROW,
        )
        return
    wrong = {
        name: (settings.get(name, "unset"), wanted)
        for name, wanted in topic.config.items()
        if not is_same(settings.get(name), wanted)
    }
    if wrong:
        differences = ", ".join(
            f"{name} is {found}, must be {wanted}" for name, (found, wanted) in wrong.items()
        )
        set_to = ",".join(f"{name}={wanted}" for name, (_, wanted) in wrong.items())
        report.failed(
            check,
            differences,
            f"{MEND}; or kafka-configs --alter --topic {topic.name} --add-config {set_to}, on the broker",
        )
        return
    report.ok(check, f"{partitions} partitions, {', '.join(f'{k}={v}' for k, v in topic.config.items())}")


def compare_sizes(topics: Topics, described: Described, report: Report) -> None:
    """Check that a message which the topic accepts can leave the producer and reach the consumer."""
    check = "size limits"
    limits = {
        name: int(settings["max.message.bytes"])
        for name, (_, settings) in described.items()
        if settings.get("max.message.bytes", "").isdigit()
    }
    if not limits:
        report.skipped(check, "no topic is there")
        return
    name, largest = max(limits.items(), key=lambda item: item[1])
    frames = limits.get(topics.frames.name, 0)
    letters = limits.get(topics.dead_letters.name, frames)
    report.judge(
        check,
        largest <= MAX_REQUEST_BYTES and largest <= FETCH_BYTES and letters >= frames,
        f"topics up to {largest} ({name}), dead-letters {letters}, producers {MAX_REQUEST_BYTES}, "
        f"consumers {FETCH_BYTES} bytes",
        "set max.message.bytes of the topics to the registry's values (docs/contracts.md): what a topic "
        "takes must fit a producer's request, a consumer's fetch, and the dead-letter topic",
    )


def compare_replicas(topics: Topics, replicas: Mapping[str, int], report: Report) -> None:
    """Check that every partition lies on as many brokers as the line file says.

    So must those of Kafka's own topics for offsets and transactions: without them the line stands still
    however many replicas its frames have. A user who may not see them is told nothing of them.
    """
    wanted = topics.frames.replication.factor or 1
    few = {name: count for name, count in sorted(replicas.items()) if count < wanted}
    check = "replicas"
    if few:
        told = ", ".join(f"{name} has {count}" for name, count in few.items())
        report.failed(check, f"{told}; the line file says {wanted}", MOVE.format(wanted=wanted))
        return
    more = sorted(name for name, count in replicas.items() if count > wanted and name not in INTERNAL)
    beyond = f"; more than that have {', '.join(more)}" if more else ""
    report.ok(check, f"{wanted} of each partition, {len(replicas)} topics{beyond}")


def judge_version(version: tuple[int, ...], replicas: Mapping[str, int], report: Report) -> None:
    """Check that a broker which is killed within a transaction ends it when it comes back.

    Kafka 4.3.0 and 4.3.1 take a partition that has no leader for one that was deleted: a transaction that was
    decided, but not yet marked there, stays open for good, and readers of committed records stand still
    behind it. A partition with replicas elsewhere gets another leader and is not touched.
    """
    alone = sorted(name for name, count in replicas.items() if count == 1)
    told = ".".join(map(str, version))
    found = f"{told}, {len(alone)} of {len(replicas)} topics of the line have one replica"
    if version >= LOSES_MARKERS and alone:
        found += "; a broker that is killed can leave a transaction open for good (KAFKA-20734)"
    report.judge("version of Kafka", version < LOSES_MARKERS or not alone, found, MARKERS)


def look_at_prefix(line: Line, broker: Broker, clock: Clock, report: Report) -> None:
    """Check that no other line writes camera statuses to this line's topic; raises BrokerUnavailable."""
    others = lines_beside(broker, line.kafka_topics(), line.line, clock)
    found = f"the line {line.line} has {line.topics.prefix} for itself"
    if others:
        found = f"{line.topics.prefix} is also used by {', '.join(others)}"
    report.judge("topics.prefix", not others, found, REMEDY)


def is_same(found: str | None, wanted: str) -> bool:
    """Tell whether two values of a setting mean the same; lists are unordered."""
    return found is not None and sorted(found.split(",")) == sorted(wanted.split(","))
