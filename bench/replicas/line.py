"""The line of this bench: that of the faults, with a model that is served already, on three brokers."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from bench.faults.disk import SmallDisk
from bench.faults.line import PRODUCT, ROOT, SIDE, STARTED_WITHIN, FaultBench, FaultLine, write_normals
from bench.faults.proxy import Proxy
from bench.line.environment import BenchEnvironment
from bench.line.model import live_event, model_for
from bench.line.pictures import jpegs, write_folder
from bench.replicas.cluster import KafkaCluster
from steadyline.kafka.broker import Partition, Record
from steadyline.servers import Addresses, LocalStack, StackPaths

FIRST_SCORES = 40


@dataclass
class ReplicaBench(FaultBench):
    """Redis and Triton as in the bench of faults, and a cluster in place of the one broker."""

    cluster: KafkaCluster = field(kw_only=True)

    @property
    @override
    def addresses(self) -> Addresses:
        """Where services find the servers."""
        return replace(super().addresses, kafka_bootstrap=self.cluster.bootstrap)


class ReplicaLine(FaultLine):
    """A line whose topics lie on three brokers, two of which must have what counts."""

    replicas: ClassVar[str] = ", replication_factor: 3, min_insync_replicas: 2"

    @override
    def start_all(self) -> None:
        """Start producers and scorers, and wait until the line runs."""
        self.start("scorer-a", "scorer-b", "producers")
        self.wait(lambda: self.flow.scored > FIRST_SCORES, STARTED_WITHIN, "the first scores")


@contextmanager
def replica_bench(home: Path) -> Iterator[ReplicaBench]:
    """Start the servers in an empty ``home``, with one version of the product's model in service."""
    model = model_for(PRODUCT, home.with_name(f"{home.name}-model"))
    shutil.rmtree(home, ignore_errors=True)
    with ExitStack() as cleanup:
        paths = StackPaths.of_checkout(home / "servers", ROOT)
        stack = cleanup.enter_context(LocalStack(paths, ("redis", "triton")))
        cluster = cleanup.enter_context(KafkaCluster(home / "brokers", paths.cache / "kafka"))
        redis = cleanup.enter_context(Proxy(stack.addresses.redis_url.removeprefix("redis://").split("/")[0]))
        triton = cleanup.enter_context(Proxy(stack.addresses.triton_grpc))
        BenchEnvironment(home, stack, model).serve(1)
        write_folder(home / "pictures", jpegs(side=SIDE))
        write_normals(home / "normals")
        disks = {name: SmallDisk(home / name) for name in ("store", "spool")}  # folders: none is mounted
        event = live_event(PRODUCT, [model.version(1)])
        headers = event.headers("faults", PRODUCT, event.at)
        told = Record(Partition("", 0), 0, PRODUCT.encode(), event.encode(), headers, 0)
        yield ReplicaBench(home, stack, redis, triton, disks, [told], cluster=cluster)
