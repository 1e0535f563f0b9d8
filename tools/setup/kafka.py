"""Kafka's jars through Maven, held against checked-in digests, and an archive of the classes it loads."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from tools.setup.command import ROOT, SetUpFailed, answer, run, say

SOURCE = ROOT / "steadyline" / "servers" / "kafka_files"
POM, SUMS = SOURCE / "pom.xml", SOURCE / "libs.sha256"
ARCHIVE = "classes.jsa"
# In full: a prefix would be looked up first, and a network that is away reads "no plugin found".
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"


def jars(folder: Path) -> list[str]:
    """Return name and size of the jars in a folder."""
    return sorted(f"{path.name} {path.stat().st_size}" for path in folder.glob("*.jar"))


def make_jars(folder: Path) -> None:
    """Fetch into a folder beside, compare every digest, and only then put it in place."""
    half = folder.with_name(f"{folder.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    goal = [f"{PLUGIN}:copy-dependencies", f"-Dlibs={half}"]
    run(["mvn", "-B", "-q", "-C", "-ntp", "-f", str(POM), *goal], "fetching through Maven", attempts=2)
    rows = (row.split() for row in SUMS.read_text(encoding="utf-8").splitlines())
    pinned = {name: digest for digest, name in rows}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in half.iterdir()}
    if pinned != found:
        wrong = sorted({name for name, _ in set(found.items()) ^ set(pinned.items())})
        raise SetUpFailed(f"Kafka's jars do not match {SUMS.name}: {', '.join(wrong[:5])}")
    shutil.rmtree(folder, ignore_errors=True)
    half.rename(folder)


def archive(folder: Path) -> list[str]:
    """Return name and size of the archive; empty when there is none."""
    return [f"{path.name} {path.stat().st_size}" for path in folder.glob(ARCHIVE)]


def make_archive(folder: Path) -> None:
    """Dump the classes a broker loads: starts take 2 s instead of 3 s. Without it all works, only slower."""
    (folder / ARCHIVE).unlink(missing_ok=True)
    python = str(ROOT / ".venv" / "bin" / "python")
    if answer([python, "-m", "tools.kafka_archive", str(folder)]) is None:
        say("no archive of Kafka's classes: it starts a second later")


def java() -> str:
    """Return what Java says of itself: an archive is for this one alone."""
    return answer(["java", "-version"]) or ""
