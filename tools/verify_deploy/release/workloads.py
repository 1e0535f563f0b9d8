"""Which pods a release runs, where, and which of them a change has replaced."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tools.verify_deploy.cluster.api import Manifest
from tools.verify_deploy.report import CheckFailed


def by_workload(pods: Sequence[Manifest]) -> dict[str, list[Manifest]]:
    """Return the pods of each Deployment, StatefulSet or DaemonSet, under its name."""
    found: dict[str, list[Manifest]] = {}
    for pod in pods:
        found.setdefault(workload_of(pod), []).append(pod)
    return found


def workload_of(pod: Manifest) -> str:
    """Return the name of what a pod belongs to; of a Deployment's, not of its ReplicaSet's."""
    metadata = pod["metadata"]
    owners = metadata.get("ownerReferences", [])
    if not owners:
        return str(metadata["name"])
    name, hashed = str(owners[0]["name"]), metadata.get("labels", {}).get("pod-template-hash", "")
    return name.removesuffix(f"-{hashed}") if owners[0]["kind"] == "ReplicaSet" else name


def running_on(pods: Sequence[Manifest]) -> list[Manifest]:
    """Return the pods that run on, those on their way out left out."""
    return [
        pod
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"] and pod["spec"]["restartPolicy"] == "Always"
    ]


def is_rolled_out(workload: Manifest) -> bool:
    """Tell whether the controller has seen a workload as it is now, and all of its pods are new and ready."""
    wanted, status = workload["spec"]["replicas"], workload["status"]
    has_seen = status.get("observedGeneration") == workload["metadata"]["generation"]
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return has_seen and all(status.get(count, 0) == wanted for count in counts)


def rolled(before: Sequence[Manifest], after: Sequence[Manifest]) -> frozenset[str]:
    """Return the workloads whose pods are all new; raises CheckFailed when only some of one are."""
    old, new = by_workload(before), by_workload(after)
    if old.keys() != new.keys():
        raise CheckFailed(f"other workloads than before: {sorted(old.keys() ^ new.keys())}")
    replaced = set()
    for name, pods in new.items():
        kept = _ids(pods) & _ids(old[name])
        if not kept:
            replaced.add(name)
        elif kept != _ids(pods):
            raise CheckFailed(f"{name}: only {len(pods) - len(kept)} of {len(pods)} pods were replaced")
    return frozenset(replaced)


def spread(pods: Sequence[Manifest]) -> Mapping[str, int]:
    """Return how many pods each node has."""
    return Counter(pod["spec"].get("nodeName", "no node") for pod in pods)


def images(pods: Sequence[Manifest]) -> dict[str, frozenset[str]]:
    """Return the images of each workload."""
    return {
        name: frozenset(one["image"] for pod in members for one in pod["spec"]["containers"])
        for name, members in by_workload(pods).items()
    }


def _ids(pods: Sequence[Manifest]) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods}
