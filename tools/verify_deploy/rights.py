"""What each ServiceAccount of a release may do, asked of the API server as ``kubectl auth can-i`` does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from typing_extensions import override

from tools.verify_deploy.cluster_api import ClusterApi, Manifest
from tools.verify_deploy.report import CheckFailed

_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True, slots=True)
class RightAsked:
    """One question: may this be done to that."""

    verb: str
    resource: str
    group: str = ""
    subresource: str = ""

    @override
    def __str__(self) -> str:
        return " ".join(filter(None, (self.verb, "/".join(filter(None, (self.resource, self.subresource))))))


# With any of these a pod that was taken over could take over more.
NEVER: Sequence[RightAsked] = (
    RightAsked("get", "secrets"),
    RightAsked("list", "secrets"),
    RightAsked("watch", "secrets"),
    RightAsked("create", "secrets"),
    RightAsked("create", "pods"),
    RightAsked("delete", "pods"),
    RightAsked("create", "pods", subresource="exec"),
    RightAsked("create", "serviceaccounts", subresource="token"),
    RightAsked("update", "configmaps"),
    RightAsked("patch", "deployments", "apps"),
    RightAsked("create", "jobs", "batch"),
    RightAsked("create", "rolebindings", "rbac.authorization.k8s.io"),
    RightAsked("escalate", "roles", "rbac.authorization.k8s.io"),
    RightAsked("impersonate", "users"),
    RightAsked("patch", "kafkausers", "kafka.strimzi.io"),
    RightAsked("*", "*", "*"),
)


def check_rights(api: ClusterApi, namespace: str) -> str:
    """Ask everything of every ServiceAccount in a namespace; raises CheckFailed with what is allowed."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    accounts = [one["metadata"]["name"] for one in api.items(path)]
    allowed = [
        f"{account} may {asked}"
        for account in accounts
        for asked in NEVER
        if may(api, f"system:serviceaccount:{namespace}:{account}", asked, namespace)
    ]
    if allowed:
        raise CheckFailed("a ServiceAccount may do what no service needs", *allowed)
    if not may(api, "", NEVER[0], namespace):
        raise CheckFailed("the administrator may not read secrets either: the questions say nothing")
    return f"{len(accounts)} accounts, {len(accounts) * len(NEVER)} questions: no"


def may(api: ClusterApi, user: str, asked: RightAsked, namespace: str) -> bool:
    """Ask the API server as ``user``, whose groups it adds itself; "" asks as ourselves."""
    attributes = {
        "namespace": namespace,
        "verb": asked.verb,
        "group": asked.group,
        "resource": asked.resource,
        "subresource": asked.subresource,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = api.call("POST", _REVIEW, review, headers={"Impersonate-User": user} if user else {})
    return bool(answer["status"]["allowed"])


def check_tokens(pods: Sequence[Manifest]) -> str:
    """Raise CheckFailed when a pod is given a token of its ServiceAccount."""
    given = [pod["metadata"]["name"] for pod in pods if any(_tokens(pod))]
    if given:
        raise CheckFailed("pods are given a token of the API server", *given)
    return f"{len(pods)} pods without a token"


def _tokens(pod: Manifest) -> Iterator[bool]:
    for volume in pod["spec"].get("volumes", []):
        sources = volume.get("projected", {}).get("sources", [])
        yield any("serviceAccountToken" in source for source in sources)
