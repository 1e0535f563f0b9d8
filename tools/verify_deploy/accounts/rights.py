"""What each ServiceAccount of a release may do, asked of the API server as ``kubectl auth can-i`` does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from typing_extensions import override

from tools.verify_deploy.cluster.api import ClusterApi, Manifest
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
    RightAsked("patch", "jobs", "batch"),
    RightAsked("create", "rolebindings", "rbac.authorization.k8s.io"),
    RightAsked("escalate", "roles", "rbac.authorization.k8s.io"),
    RightAsked("impersonate", "users"),
    RightAsked("patch", "kafkausers", "kafka.strimzi.io"),
    RightAsked("*", "*", "*"),
)


# What trainings as Jobs take: the trainer must have all of it, and nobody else any.
TRAINERS: Sequence[RightAsked] = (
    *(RightAsked(verb, "jobs", "batch") for verb in ("create", "get", "list", "delete")),
    *(RightAsked(verb, "pods") for verb in ("get", "list")),
)


def check_rights(api: ClusterApi, namespace: str, trainer: str) -> str:
    """Ask everything of every ServiceAccount in a namespace; raises CheckFailed with what is wrong.

    ``trainer`` is the account that makes Jobs.
    """
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    accounts = [str(one["metadata"]["name"]) for one in api.items(path)]
    asked = [(account, right) for account in accounts for right in dict.fromkeys((*NEVER, *TRAINERS))]
    needed = {(trainer, right) for right in TRAINERS}
    given = {
        (account, right)
        for account, right in asked
        if may(api, f"system:serviceaccount:{namespace}:{account}", right, namespace)
    }
    if given != needed:
        more = [f"{account} may {right}" for account, right in given - needed]
        less = [f"{account} may not {right}" for account, right in needed - given]
        raise CheckFailed("a ServiceAccount may do more or less than its service needs", *sorted(more + less))
    if not may(api, "", NEVER[0], namespace):
        raise CheckFailed("the administrator may not read secrets either: the questions say nothing")
    no, yes = len(asked) - len(given), len(given)
    return f"{len(accounts)} accounts, {no} questions: no; {yes} of the trainer: yes"


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


def check_tokens(pods: Sequence[Manifest], trainer: str) -> str:
    """Raise CheckFailed when a pod of another account than ``trainer`` has a token of the API server."""
    others = [pod for pod in pods if pod["spec"]["serviceAccountName"] != trainer]
    given = [pod["metadata"]["name"] for pod in others if any(_tokens(pod))]
    if given:
        raise CheckFailed("pods are given a token of the API server", *given)
    return f"{len(others)} pods without a token"


def _tokens(pod: Manifest) -> Iterator[bool]:
    for volume in pod["spec"].get("volumes", []):
        sources = volume.get("projected", {}).get("sources", [])
        yield any("serviceAccountToken" in source for source in sources)
