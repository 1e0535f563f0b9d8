"""Three KRaft nodes on loopback, each broker and controller, whose topics lie on all of them."""

import shutil
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

from kafka import KafkaAdminClient

from steadyline.servers.kafka import KafkaFiles, new_cluster_id
from steadyline.servers.ports import KeptPorts
from steadyline.servers.process import ServerProcess

NODES = (1, 2, 3)
# As a plant would have them; a broker that ends is missed after Kafka's own 9 s.
SETTINGS = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    "broker.session.timeout.ms": "9000",
    "broker.heartbeat.interval.ms": "2000",
}


class KafkaCluster:
    """Starts the nodes on enter, in an empty ``home``, and stops them on exit."""

    def __init__(self, home: Path, jars: Path) -> None:
        shutil.rmtree(home, ignore_errors=True)
        homes = {number: home / f"broker-{number}" for number in NODES}
        ports = {n: KeptPorts(homes[n] / "kafka" / "ports", 2).numbers for n in NODES}
        shared = {
            **SETTINGS,
            "controller.quorum.voters": ",".join(f"{n}@127.0.0.1:{ports[n][1]}" for n in NODES),
        }
        self.bootstrap = ",".join(f"127.0.0.1:{ports[n][0]}" for n in NODES)
        self._homes, self._cluster = homes, new_cluster_id()
        self._files = {
            n: KafkaFiles(homes[n], jars, (), {**shared, "node.id": str(n)}, self._cluster) for n in NODES
        }
        self.servers: dict[int, ServerProcess] = {}

    def __enter__(self) -> Self:
        try:
            for number in NODES:
                self.servers[number] = ServerProcess(self._files[number].launch(), self._homes[number])
            self.start(NODES)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, numbers: Collection[int]) -> None:
        """Start these nodes side by side: alone, none of them is ready before it has found the others."""
        with ThreadPoolExecutor(len(numbers)) as pool:
            for started in [pool.submit(self.servers[number].start) for number in numbers]:
                started.result()

    def kill9(self, numbers: Collection[int]) -> None:
        """End these nodes by SIGKILL, one right after the other."""
        for number in numbers:
            self.servers[number].kill9()

    def leader(self, topic: str, partition: int) -> int:
        """Return the node that leads a partition."""
        with closing(KafkaAdminClient(bootstrap_servers=self.bootstrap.split(","))) as admin:
            [found] = admin.describe_topics([topic])
        leaders = {item["partition_index"]: item["leader_id"] for item in found["partitions"]}
        return int(leaders[partition])

    def stop(self) -> None:
        """Stop every node that runs."""
        for server in self.servers.values():
            server.stop()
