"""What must be refused: manifests of the chart with one thing wrong in each."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tools.verify_deploy.cluster.api import ApiRefused, ClusterApi, Manifest
from tools.verify_deploy.report import CheckFailed

Change = Callable[[Manifest], None]


@dataclass(frozen=True, slots=True)
class RefusalCase:
    """One wrong manifest: made from a right one of that kind, refused with words that name what is wrong."""

    name: str
    kind: str
    change: Change
    words: str


def _pod_spec(manifest: Manifest) -> Manifest:
    found: Manifest = (
        manifest["spec"]["template"]["spec"] if "template" in manifest["spec"] else manifest["spec"]
    )
    return found


def _container(manifest: Manifest) -> Manifest:
    found: Manifest = _pod_spec(manifest)["containers"][0]
    return found


def _misspell_a_probe(manifest: Manifest) -> None:
    _container(manifest)["livenesProbe"] = {"tcpSocket": {"port": 1}}


def _ask_for_privileges(manifest: Manifest) -> None:
    _container(manifest)["securityContext"] |= {"privileged": True, "allowPrivilegeEscalation": True}


def _run_as_root(manifest: Manifest) -> None:
    _container(manifest)["securityContext"] |= {"runAsNonRoot": False, "runAsUser": 0}


def _mount_the_host(manifest: Manifest) -> None:
    host = {"name": "host", "hostPath": {"path": "/"}}
    _pod_spec(manifest)["volumes"] = [*_pod_spec(manifest).get("volumes", []), host]


def _take_a_tag(manifest: Manifest) -> None:
    container = _container(manifest)
    container["image"] = container["image"].split("@")[0] + ":latest"


def _select_others(manifest: Manifest) -> None:
    manifest["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] = "somebody-else"


def _limit_below_request(manifest: Manifest) -> None:
    _container(manifest)["resources"] = {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}


def _no_partitions(manifest: Manifest) -> None:
    manifest["spec"]["partitions"] = 0


def _old_version(manifest: Manifest) -> None:
    manifest["apiVersion"] = "kafka.strimzi.io/v1beta2"


def _misspell_an_operation(manifest: Manifest) -> None:
    manifest["spec"]["authorization"]["acls"][0]["operations"] = ["Reed"]


def _misspell_a_limit(manifest: Manifest) -> None:
    manifest["spec"]["maxReplicaCounts"] = 3


def _speak_of_seconds(manifest: Manifest) -> None:
    manifest["spec"]["podMetricsEndpoints"][0]["interval"] = "15 seconds"


def _misspell_a_protocol(manifest: Manifest) -> None:
    manifest["spec"]["egress"] = [{"ports": [{"port": 53, "protocol": "UPD"}]}]


def _want_more_than_there_may_be(manifest: Manifest) -> None:
    manifest["spec"] |= {"minReplicas": 9, "maxReplicas": 1}


CASES: Sequence[RefusalCase] = (
    RefusalCase("an unknown field", "Deployment", _misspell_a_probe, "unknown field"),
    RefusalCase("a selector that misses its pods", "Deployment", _select_others, "selector"),
    RefusalCase("a limit below its request", "Deployment", _limit_below_request, "memory limit"),
    RefusalCase("a privileged pod", "Pod", _ask_for_privileges, "violates PodSecurity"),
    RefusalCase("a pod of root", "Pod", _run_as_root, "violates PodSecurity"),
    RefusalCase("a pod with the host's files", "Pod", _mount_the_host, "violates PodSecurity"),
    RefusalCase("an image by its tag, in a pod", "Pod", _take_a_tag, "not pinned by digest"),
    RefusalCase("an image by its tag, in a Deployment", "Deployment", _take_a_tag, "not pinned by digest"),
    RefusalCase("a topic without partitions", "KafkaTopic", _no_partitions, "spec.partitions"),
    RefusalCase("a version that is gone", "KafkaTopic", _old_version, "kafka.strimzi.io/v1beta2"),
    RefusalCase("an operation misspelt", "KafkaUser", _misspell_an_operation, "Reed"),
    RefusalCase("an unknown key of a scaler", "ScaledObject", _misspell_a_limit, "unknown field"),
    RefusalCase("an interval in words", "PodMonitor", _speak_of_seconds, "interval"),
    RefusalCase("a protocol misspelt", "NetworkPolicy", _misspell_a_protocol, "protocol"),
    RefusalCase("fewest above most", "HorizontalPodAutoscaler", _want_more_than_there_may_be, "maxReplicas"),
)


def check_refusals(api: ClusterApi, manifests: Sequence[Manifest], namespace: str) -> str:
    """Try each case; raises CheckFailed when one passes, or its right manifest does not."""
    for case in CASES:
        right = _example(case.kind, manifests)
        said = _said(api, right, namespace)
        if said is not None:
            raise CheckFailed(f"{case.name}: the right {case.kind} is refused too", said)
        wrong = copy.deepcopy(right)
        case.change(wrong)
        said = _said(api, wrong, namespace)
        if said is None:
            raise CheckFailed(f"{case.name} is not refused")
        if case.words not in said:
            raise CheckFailed(f"{case.name} is refused, but for something else", said)
    return f"{len(CASES)} refused, each beside one that is taken"


def _example(kind: str, manifests: Sequence[Manifest]) -> Manifest:
    """Return one manifest of a kind under a name of its own; a pod is one of the first Deployment."""
    source = "Deployment" if kind == "Pod" else kind
    found = next((one for one in manifests if one["kind"] == source and _is_fit(one)), None)
    if found is None:
        raise CheckFailed(f"the chart renders no {source} to try wrong ones of")
    example = copy.deepcopy(found)
    name = "tried-" + example["metadata"]["name"]
    if kind != "Pod":
        example["metadata"]["name"] = name
        return example
    metadata = {"name": name, "labels": example["spec"]["template"]["metadata"]["labels"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": example["spec"]["template"]["spec"],
    }


def _is_fit(manifest: Manifest) -> bool:
    """A KafkaUser without rules cannot have a wrong one."""
    return manifest["kind"] != "KafkaUser" or bool(manifest["spec"].get("authorization", {}).get("acls"))


def _said(api: ClusterApi, manifest: Manifest, namespace: str) -> str | None:
    """Return why a manifest is refused, None when it would be taken; nothing is kept."""
    try:
        api.create(manifest, namespace, dry_run=True)
    except ApiRefused as error:
        return error.message
    return None
