"""Three nodes whose kubelets run nothing: a pod bound to one is said to run, and a volume to be there."""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from itertools import count
from typing import Any

from tools.verify_deploy.cluster.api import ApiRefused, ClusterApi, Manifest
from tools.verify_deploy.report import CheckFailed
from trainer.cluster.job_template import PRODUCT_LABEL

NODES = ("node-1", "node-2", "node-3")
STORAGE_CLASS = "verify"
# Room for everything, a GPU included: what is tried is the chart, not the size of a cluster.
RESOURCES = {
    "cpu": "16",
    "memory": "64Gi",
    "pods": "110",
    "ephemeral-storage": "100Gi",
    "nvidia.com/gpu": "1",
}
_PODS, _CLAIMS, _VOLUMES = "/api/v1/pods", "/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes"
_CONFLICTS = (404, 409)  # gone, or changed meanwhile: the next look sees it


class TrainingFate(Enum):
    """What becomes of the pods of a training, by the name of its product; the last two never have pods."""

    ENDS = "ends-well"
    RUNS = "runs-on"
    OUT_OF_MEMORY = "is-killed"
    NO_IMAGE = "has-no-image"
    UNPINNED = "is-not-pinned"
    PRIVILEGED = "is-privileged"


# The phase of the pod, and the state of its container.
_HARD_FATES: Mapping[str, tuple[str, dict[str, Any]]] = {
    TrainingFate.OUT_OF_MEMORY.value: ("Failed", {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
    TrainingFate.NO_IMAGE.value: (
        "Pending",
        {"waiting": {"reason": "ImagePullBackOff", "message": "there is no such image"}},
    ),
}


class FakeKubelets:
    """Plays kubelets and a provisioner of volumes, each on a thread that watches, from ``start`` on.

    A pod that is to run for ever becomes Ready, another one Succeeded; a training fares as the name of its
    product says. An error of the API ends a thread, and ``check`` raises it, unless ``leave`` was called: the
    threads end with the API server.
    """

    def __init__(self, api: ClusterApi) -> None:
        self._api, self._left = api, threading.Event()
        watched = (
            (_PODS, self._look_at_pod),
            (_CLAIMS, self._look_at_claim),
            (_VOLUMES, self._look_at_volume),
        )
        self._threads = [
            threading.Thread(target=self._watch, args=one, name=f"kubelets-{one[0]}", daemon=True)
            for one in watched
        ]
        self._addresses = count(1)
        self._error: BaseException | None = None

    def start(self) -> None:
        """Register the nodes and a class of storage, and begin."""
        for number, name in enumerate(NODES, 1):
            self._api.create(_node(name, f"zone-{number}"))
            status = {"capacity": RESOURCES, "allocatable": RESOURCES, "conditions": _true("Ready")}
            self._api.call("PATCH", f"/api/v1/nodes/{name}/status", {"status": status})
        self._api.create(_storage_class())
        for thread in self._threads:
            thread.start()

    def leave(self) -> None:
        """Take whatever happens from now on for the end of the API server."""
        self._left.set()

    def check(self) -> None:
        """Raise CheckFailed when an error has ended a thread."""
        if self._error is not None:
            raise CheckFailed(f"the made-up kubelets have ended: {self._error}")

    def _watch(self, path: str, look_at: Callable[[Manifest], None]) -> None:
        try:
            while not self._left.is_set():
                for found in self._api.watched(path):
                    look_at(found)
        except (ApiRefused, OSError, ValueError) as error:
            if not self._left.is_set():
                self._error = error
        finally:
            self._api.close()

    def _look_at_pod(self, pod: Manifest) -> None:
        metadata = pod["metadata"]
        if pod["spec"].get("nodeName") not in NODES:
            return
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if "deletionTimestamp" in metadata:
            now = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
            self._quietly("DELETE", path, now)
        elif "startTime" not in pod["status"]:
            self._quietly("PATCH", f"{path}/status", {"status": self._status(pod)})

    def _status(self, pod: Manifest) -> dict[str, Any]:
        spec, number = pod["spec"], next(self._addresses)
        fate = pod["metadata"].get("labels", {}).get(PRODUCT_LABEL)
        if fate in _HARD_FATES:
            return _hard_status(spec, *_HARD_FATES[fate])
        address = f"10.244.{number // 250}.{number % 250 + 1}"
        runs_on = spec["restartPolicy"] == "Always" or fate == TrainingFate.RUNS.value
        conditions = ["PodScheduled", "Initialized", *(["ContainersReady", "Ready"] if runs_on else [])]
        return {
            "phase": "Running" if runs_on else "Succeeded",
            "startTime": _now(),
            "hostIP": "127.0.0.1",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": _true(*conditions),
            "containerStatuses": [_container(one, runs_on) for one in spec["containers"]],
            "initContainerStatuses": [
                _container(one, one.get("restartPolicy") == "Always") | {"ready": True}
                for one in spec.get("initContainers", [])
            ],
        }

    def _look_at_claim(self, claim: Manifest) -> None:
        """Make a volume for a claim that waits for one."""
        is_new = claim["status"].get("phase") == "Pending" and "volumeName" not in claim["spec"]
        if is_new and claim["spec"].get("storageClassName") == STORAGE_CLASS:
            self._quietly("POST", _VOLUMES, _volume(claim))

    def _look_at_volume(self, volume: Manifest) -> None:
        """Take a volume back that is released."""
        if volume["status"].get("phase") in ("Released", "Failed"):
            self._quietly("DELETE", f"{_VOLUMES}/{volume['metadata']['name']}")

    def _quietly(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> None:
        """Call the API; what is gone, or there already, is no error."""
        try:
            self._api.call(method, path, body)
        except ApiRefused as error:
            if error.code not in _CONFLICTS:
                raise


def _node(name: str, zone: str) -> Manifest:
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": zone,
    }
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def _storage_class() -> Manifest:
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STORAGE_CLASS, "annotations": default},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "Immediate",
    }


def _volume(claim: Manifest) -> Manifest:
    """Return a volume that is for one claim alone; nothing is ever written to its path."""
    metadata, spec = claim["metadata"], claim["spec"]
    holder = {"namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"pv-{metadata['uid']}"},
        "spec": {
            "capacity": spec["resources"]["requests"],
            "accessModes": spec["accessModes"],
            "storageClassName": STORAGE_CLASS,
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": "/nowhere"},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **holder},
        },
    }


def _hard_status(spec: Mapping[str, Any], phase: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status of a pod that ends badly, or never begins."""
    return {
        "phase": phase,
        "startTime": _now(),
        "conditions": _true("PodScheduled"),
        "containerStatuses": [_container(one, False) | {"state": state} for one in spec["containers"]],
    }


def _container(container: Manifest, runs_on: bool) -> dict[str, Any]:
    running, done = {"running": {"startedAt": _now()}}, {"terminated": {"exitCode": 0, "reason": "Completed"}}
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": runs_on,
        "started": runs_on,
        "restartCount": 0,
        "state": running if runs_on else done,
    }


def _true(*types: str) -> Sequence[dict[str, str]]:
    return [{"type": one, "status": "True", "lastTransitionTime": _now()} for one in types]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
