"""``python -m tools.kafka_archive DIR`` runs a broker once and dumps the classes it has loaded."""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from steadyline.contracts.topics import line_topics
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.servers.kafka import ARCHIVE, KafkaFiles
from steadyline.servers.process import ServerProcess
from steadyline.settings import KafkaSettings
from tools.setup.command import CACHE


def main(folder: Path) -> int:
    """Start, work a little, stop; the archive appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / f"{ARCHIVE}.half"
    half.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        # -Xlog: what cannot be archived is not worth a thousand warnings
        options = [f"-XX:ArchiveClassesAtExit={half}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
        files = KafkaFiles(Path(home), CACHE / "kafka", jvm=options)
        server = ServerProcess(files.launch(), Path(home))
        stack.callback(server.stop)
        server.start()
        broker = KafkaBroker(KafkaSettings(bootstrap_servers=files.bootstrap), "archive")
        broker.create_topics(list(line_topics("archive", 1)))
        broker.close()
    half.rename(folder / ARCHIVE)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
