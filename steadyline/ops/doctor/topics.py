"""Compare the broker's topics with the registry, and the size limits along the way of a frame."""

from collections.abc import Mapping

from steadyline.contracts.topics import MAX_REQUEST_BYTES, Topic, Topics
from steadyline.kafka.broker import Broker
from steadyline.kafka.connection import FETCH_BYTES
from steadyline.ops.doctor.finding import Report

CREATE = "`steadyline topics create --line LINE` makes what is missing"
Described = Mapping[str, tuple[int, dict[str, str]]]


def look_at_topics(topics: Topics, broker: Broker, report: Report) -> None:
    """Compare every topic of a line with what the broker has; raises BrokerUnavailable."""
    described = broker.describe_topics([topic.name for topic in topics])
    for topic in topics:
        compare(topic, described, report)
    compare_sizes(topics, described, report)


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
            "set topics.partitions of the line file to what is there: a camera's key would move to another "
            "partition and its order be lost; or begin with a new topics.prefix",
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
            f"kafka-configs --alter --topic {topic.name} --add-config {set_to}, on the broker",
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


def is_same(found: str | None, wanted: str) -> bool:
    """Tell whether two values of a setting mean the same; lists are unordered."""
    return found is not None and sorted(found.split(",")) == sorted(wanted.split(","))
