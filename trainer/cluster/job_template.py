"""The Job of one training: a template that whoever runs the line has written, and what the order adds to it.

The template is a whole ``batch/v1`` Job. Its name is the prefix of every Job's name. It finds the product in
``$(TRAINING_PRODUCT)``, and where several pods share a training, the host of the first in
``$(TRAINING_MASTER)``: both are variables of the container, which Kubernetes itself replaces in arguments and
in the ``subPathExpr`` of a volume.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration
from steadyline.yaml_lines import parse_yaml
from trainer.jobs.spec import JobSpec

Manifest = dict[str, Any]

PRODUCT_LABEL = "steadyline/product"
ORDER, NAMED_PRODUCT, NAMED_VERSION = "steadyline/order", "steadyline/product-name", "steadyline/version"
LONGEST_PREFIX, LONGEST_LABEL = 40, 63
NAME_DIGITS = 16
LEAST_SECONDS = 60


@dataclass(frozen=True, slots=True)
class JobTemplate:
    """A Job that misses nothing but what one order adds; ``owner`` goes with it, and takes it along."""

    manifest: Manifest
    owner: Manifest | None = None

    @property
    def namespace(self) -> str:
        """Where the Jobs are made."""
        return str(self.manifest["metadata"]["namespace"])

    @property
    def pods(self) -> int:
        """How many pods share a training."""
        return int(self.manifest["spec"].get("completions", 1))

    def name_of(self, spec: JobSpec) -> str:
        """Return the name of an order's Job: the same order has the same name, whoever makes it."""
        prefix = str(self.manifest["metadata"]["name"])[:LONGEST_PREFIX].rstrip("-")
        return f"{prefix}-{spec.full_digest()[:NAME_DIGITS]}"

    def selector(self, product: str) -> str:
        """Return the selector of labels that finds all Jobs of a product."""
        labels = {**self.manifest["metadata"].get("labels", {}), PRODUCT_LABEL: product_label(product)}
        chosen = [f"{name}={labels[name]}" for name in sorted(labels) if name in _IDENTITY]
        return ",".join(chosen)

    def job_of(self, spec: JobSpec, within: timedelta) -> Manifest:
        """Return the Job of an order, which Kubernetes ends after ``within`` at the latest."""
        job, name, label = deepcopy(self.manifest), self.name_of(spec), product_label(spec.product)
        metadata, body = job["metadata"], job["spec"]
        metadata["name"] = name
        metadata.setdefault("labels", {})[PRODUCT_LABEL] = label
        metadata.setdefault("annotations", {}).update(
            {ORDER: spec.full_digest(), NAMED_PRODUCT: spec.product, NAMED_VERSION: str(spec.version)}
        )
        if self.owner is not None:
            metadata["ownerReferences"] = [self.owner]
        body["activeDeadlineSeconds"] = max(LEAST_SECONDS, round(within.total_seconds()))
        pod = body["template"]
        pod.setdefault("metadata", {}).setdefault("labels", {})[PRODUCT_LABEL] = label
        master = f"{name}-0.{pod['spec'].get('subdomain', '')}".rstrip(".")
        added = [
            {"name": "TRAINING_PRODUCT", "value": spec.product},
            {"name": "TRAINING_MASTER", "value": master},
        ]
        (container,) = pod["spec"]["containers"]
        container["env"] = [*added, *container.get("env", ())]
        return job


_IDENTITY = (PRODUCT_LABEL, "app.kubernetes.io/instance", "app.kubernetes.io/component")


def product_label(product: str) -> str:
    """Return the value of a product's label: its name, or a digest of one that is too long for a label."""
    return product if len(product) <= LONGEST_LABEL else sha256(product.encode())[:NAME_DIGITS]


def read_template(path: Path) -> JobTemplate:
    """Return the template in a file; raises InvalidConfiguration with what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(f"TRAINER_JOB_TEMPLATE={path} cannot be read: {error}") from error
    found: Any = parse_yaml(text, f"TRAINER_JOB_TEMPLATE={path}").data
    problem = _problem(found)
    if problem:
        raise InvalidConfiguration(f"TRAINER_JOB_TEMPLATE={path} {problem}")
    return JobTemplate(found)


def _problem(found: object) -> str:
    """Return what a template lacks; the API server judges the rest of it."""
    if not isinstance(found, Mapping) or (found.get("apiVersion"), found.get("kind")) != ("batch/v1", "Job"):
        return "holds no Job of batch/v1"
    metadata: Any = found.get("metadata")
    spec: Any = found.get("spec")
    if not isinstance(metadata, Mapping) or not (metadata.get("name") and metadata.get("namespace")):
        return "names no metadata.name and metadata.namespace"
    pod = spec.get("template", {}).get("spec") if isinstance(spec, Mapping) else None
    if not isinstance(pod, Mapping) or len(pod.get("containers") or ()) != 1:
        return "has no spec.template.spec with exactly one container"
    if spec.get("backoffLimit") != 0 or pod.get("restartPolicy") != "Never":
        return "starts a failed training again by itself: it needs backoffLimit: 0 and restartPolicy: Never"
    return ""
