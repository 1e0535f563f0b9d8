"""Everything that is in a cluster, so that what a release leaves behind can be named."""

from collections.abc import Collection, Iterator, Sequence

from tools.verify_deploy.cluster.api import ApiRefused, ClusterApi, Manifest, ResourceType

# They tell what happened, or are the cluster's own bookkeeping, and go by themselves.
PASSING = ("Event", "Lease", "ComponentStatus", "APIService", "FlowSchema", "PriorityLevelConfiguration")
_PLURALS_WITHOUT_OBJECTS = (404, 405)
_CLAIM = "PersistentVolumeClaim"
_POLICY = "helm.sh/resource-policy"


def objects(api: ClusterApi, kinds: Sequence[ResourceType]) -> frozenset[str]:
    """Return every object of these kinds, as ``kind namespace/name``; definitions of more would be told."""
    found: set[str] = set()
    for resource in kinds:
        if resource.kind in PASSING:
            continue
        try:
            found_here = api.metadata(resource.path())
        except ApiRefused as error:
            if error.code in _PLURALS_WITHOUT_OBJECTS:
                continue
            raise
        found |= {f"{resource.kind} {one.get('namespace', '')}/{one['name']}" for one in found_here}
    return frozenset(found)


def left_behind(before: Collection[str], after: Collection[str]) -> list[str]:
    """Return what is there and was not before."""
    return sorted(set(after) - set(before))


def kept_data(api: ClusterApi, manifests: Sequence[Manifest], namespace: str) -> frozenset[str]:
    """Return what is to outlive its release: what says so, claims of StatefulSets, and volumes of claims."""
    kept = {one["kind"]: set[str]() for one in manifests} | {_CLAIM: set[str]()}
    for manifest in manifests:
        metadata = manifest["metadata"]
        if metadata.get("annotations", {}).get(_POLICY) == "keep":
            kept[manifest["kind"]].add(metadata["name"])
        if manifest["kind"] == "StatefulSet" and _keeps_claims(manifest):
            kept[_CLAIM] |= set(_claims_of(manifest))
    found = {f"{kind} {namespace}/{name}" for kind, names in kept.items() for name in names}
    claims = api.items(api.resource("v1", _CLAIM).path(namespace))
    volumes = (one["spec"]["volumeName"] for one in claims if one["metadata"]["name"] in kept[_CLAIM])
    return frozenset(found | {f"PersistentVolume /{volume}" for volume in volumes})


def _keeps_claims(stateful_set: Manifest) -> bool:
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy", {})
    return bool(policy.get("whenDeleted", "Retain") == "Retain")


def _claims_of(stateful_set: Manifest) -> Iterator[str]:
    name, spec = stateful_set["metadata"]["name"], stateful_set["spec"]
    for template in spec.get("volumeClaimTemplates", []):
        for number in range(spec.get("replicas", 1)):
            yield f"{template['metadata']['name']}-{name}-{number}"
