"""A Job as a line's template gives it, and orders for it."""

from datetime import UTC, datetime
from pathlib import Path

import yaml

from steadyline.line import GateSection
from trainer.cluster.job_template import JobTemplate, Manifest, read_template
from trainer.jobs.spec import JobSpec


def a_manifest(pods: int = 1) -> Manifest:
    """Return the smallest template that the trainer takes."""
    labels = {"app.kubernetes.io/instance": "line-1", "app.kubernetes.io/component": "training"}
    container = {"name": "training", "image": "trainer", "args": ["job", "$(TRAINING_PRODUCT)"]}
    pod = {"restartPolicy": "Never", "subdomain": "line-1-training", "containers": [container]}
    spec = {"backoffLimit": 0, "completions": pods, "parallelism": pods, "completionMode": "Indexed"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "line-1-training", "namespace": "plant", "labels": labels},
        "spec": {**spec, "template": {"metadata": {"labels": dict(labels)}, "spec": pod}},
    }


def a_template(folder: Path, manifest: Manifest | None = None) -> JobTemplate:
    """Return a template as it is read from its file."""
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(manifest or a_manifest()))
    return read_template(path)


def a_training_order(product: str = "cell", version: int = 1) -> JobSpec:
    """Return the order of a training."""
    return JobSpec(
        product=product, version=version, why="asked", detector="robust", profile="cpu", steps=None, seed=0,
        size=64, channels="gray", false_alarm_rate=0.01, gate=GateSection(), snapshot_uri="memory://x",
        snapshot_digest="0" * 64, live=None, ordered_at=datetime(2026, 3, 1, tzinfo=UTC),
    )  # fmt: skip
