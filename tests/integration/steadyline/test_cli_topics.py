"""``steadyline topics`` as its users call it, on a real broker."""

import json
import os
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from steadyline.contracts.topics import line_topics
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.servers import Addresses
from steadyline.service import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from steadyline.settings import KafkaSettings

pytestmark = pytest.mark.servers


def topics(addresses: Addresses, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "steadyline", "topics", *map(str, arguments)]
    environment = {**os.environ, **addresses.environment(), "COLUMNS": "200"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_topics_are_created_once_checked_and_found_wrong(tmp_path: Path, addresses: Addresses) -> None:
    prefix = f"t{uuid.uuid4().hex[:8]}"
    line = tmp_path / "line.yaml"
    text = f"line: t\ntopics: {{prefix: {prefix}, partitions: 2}}\nproducts: {{cell: {{}}}}\n"
    line.write_text(text)
    names = sorted(topic.name for topic in line_topics(prefix, 2))

    empty = topics(addresses, "check", "--line", line)
    assert empty.returncode == EXIT_FAILED
    assert "steadyline topics create" in empty.stdout

    made = topics(addresses, "create", "--line", line, "--json")
    answer = json.loads(made.stdout)
    assert (made.returncode, sorted(answer["created"]), answer["healthy"]) == (EXIT_OK, names, True)

    again = topics(addresses, "create", "--line", line)
    assert again.returncode == EXIT_OK
    assert "created" not in again.stdout
    assert "all is well" in again.stdout

    line.write_text(text.replace("partitions: 2", "partitions: 3"))
    apart = topics(addresses, "check", "--line", line)
    assert apart.returncode == EXIT_FAILED
    assert "2 partitions, the line file says 3" in apart.stdout


def test_a_topic_with_another_size_limit_is_left_alone_and_reported(
    tmp_path: Path, addresses: Addresses
) -> None:
    prefix = f"t{uuid.uuid4().hex[:8]}"
    line = tmp_path / "line.yaml"
    line.write_text(f"line: t\ntopics: {{prefix: {prefix}, partitions: 1}}\nproducts: {{cell: {{}}}}\n")
    broker = KafkaBroker(KafkaSettings(bootstrap_servers=addresses.kafka_bootstrap), "test")
    frames = line_topics(prefix, 1).frames
    broker.create_topics([replace(frames, max_message_bytes=1_000_000)])
    broker.close()
    done = topics(addresses, "create", "--line", line)
    assert done.returncode == EXIT_FAILED
    assert f"topic {frames.name}: max.message.bytes is 1000000" in done.stdout


def test_more_replicas_than_brokers_are_refused_and_as_many_are_made_and_counted(
    tmp_path: Path, addresses: Addresses
) -> None:
    prefix = f"t{uuid.uuid4().hex[:8]}"
    line = tmp_path / "line.yaml"
    text = f"line: t\ntopics: {{prefix: {prefix}, replication_factor: 3}}\nproducts: {{cell: {{}}}}\n"
    line.write_text(text)
    refused = topics(addresses, "create", "--line", line)
    assert refused.returncode == EXIT_USAGE
    assert "topics.replication_factor of the line file is 3, and Kafka has fewer" in refused.stderr

    line.write_text(text.replace("replication_factor: 3", "replication_factor: 1, min_insync_replicas: 1"))
    made = topics(addresses, "create", "--line", line)
    assert made.returncode == EXIT_OK, made.stdout + made.stderr
    assert "replicas: 1 of each partition" in made.stdout

    line.write_text(text)
    few = topics(addresses, "check", "--line", line)
    assert few.returncode == EXIT_FAILED
    assert f"{prefix}.frames.v1 has 1" in few.stdout
    assert "kafka-reassign-partitions" in few.stdout
