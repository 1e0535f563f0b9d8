"""The API server of Kubernetes through its official client: the few calls that trainings need, no others."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient, BatchV1Api, Configuration, CoreV1Api
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from steadyline.errors import InvalidConfiguration, Transient
from trainer.config import KubernetesSettings

TIMEOUT = (3.0, 10.0)  # seconds to connect, and between two bytes of an answer
NOT_FOUND, CONFLICT = 404, 409
REFUSED = (400, 403, 422)  # forbidden by a right or a policy, or no valid object


class ClusterUnavailable(Transient):
    """The API server of Kubernetes does not answer, or has no time."""

    reason = "cluster_unavailable"


class ClusterRefused(Transient):
    """The API server refuses the trainer's account: its Role lacks a right, or its token is not believed."""

    reason = "cluster_refused"


class JobRefused(Exception):
    """The API server takes no such Job: its words say why."""


class TrainingCluster:
    """Jobs and pods of one namespace. Objects are plain dictionaries, as the API has them.

    Methods raise ClusterUnavailable or ClusterRefused. The token is read anew for every call: Kubernetes
    replaces it within its hour.
    """

    def __init__(self, settings: KubernetesSettings, namespace: str) -> None:
        if settings.service_host is None:
            raise InvalidConfiguration(
                "TRAINER_LAUNCHER=kubernetes and KUBERNETES_SERVICE_HOST is not set: "
                "the trainer does not run in a pod, so take TRAINER_LAUNCHER=process"
            )
        self._namespace, self._token = namespace, settings.token_file
        host = settings.service_host
        address = f"[{host}]" if ":" in host else host
        configuration: Any = Configuration(host=f"https://{address}:{settings.service_port}")
        configuration.ssl_ca_cert = str(_there(settings.ca_file))
        configuration.api_key = {"authorization": _read_token(settings.token_file)}
        configuration.api_key_prefix = {"authorization": "Bearer"}
        configuration.refresh_api_key_hook = self._renew
        configuration.retries = False  # who asks asks again
        # Answers are taken as the bytes they are, which the client's own types do not know.
        self._client: Any = ApiClient(configuration)
        self._batch: Any = BatchV1Api(self._client)
        self._core: Any = CoreV1Api(self._client)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def job(self, name: str) -> Mapping[str, Any] | None:
        """Return a Job, None when there is none of that name."""
        found: Mapping[str, Any] | None = self._ask(
            "get jobs", lambda: self._batch.read_namespaced_job(name, self._namespace, **_PLAIN)
        )
        return found

    def jobs(self, selector: str) -> list[Mapping[str, Any]]:
        """Return the Jobs that a selector of labels finds."""
        found = self._ask(
            "list jobs",
            lambda: self._batch.list_namespaced_job(self._namespace, label_selector=selector, **_PLAIN),
        )
        return list(found["items"]) if found else []

    def pods(self, job: str) -> list[Mapping[str, Any]]:
        """Return the pods of a Job."""
        selector = f"batch.kubernetes.io/job-name={job}"
        found = self._ask(
            "list pods",
            lambda: self._core.list_namespaced_pod(self._namespace, label_selector=selector, **_PLAIN),
        )
        return list(found["items"]) if found else []

    def pod(self, name: str) -> Mapping[str, Any] | None:
        """Return a pod, None when there is none of that name."""
        found: Mapping[str, Any] | None = self._ask(
            "get pods", lambda: self._core.read_namespaced_pod(name, self._namespace, **_PLAIN)
        )
        return found

    def create(self, manifest: Mapping[str, Any]) -> None:
        """Make a Job, unknown fields refused; one of its name that is there already stays as it is.

        Raises JobRefused with the words of the server.
        """
        try:
            self._batch.create_namespaced_job(self._namespace, manifest, field_validation="Strict", **_PLAIN)
        except ApiException as error:
            if error.status in REFUSED:
                raise JobRefused(_words(error)) from error
            if error.status != CONFLICT:
                raise _translated("create jobs", error) from error
        except (HTTPError, OSError) as error:
            raise ClusterUnavailable(f"the API server of Kubernetes is away: {error}") from error

    def delete(self, name: str) -> None:
        """Delete a Job, which is gone once its pods are; harmless when there is none."""
        self._ask(
            "delete jobs",
            lambda: self._batch.delete_namespaced_job(
                name, self._namespace, propagation_policy="Foreground", **_PLAIN
            ),
        )

    def _ask(self, what: str, call: Callable[[], Any]) -> Any:
        """Return the decoded answer of a call, None when the object is not there."""
        try:
            return json.loads(call().data)
        except ApiException as error:
            if error.status == NOT_FOUND:
                return None
            raise _translated(what, error) from error
        except (HTTPError, OSError, ValueError) as error:
            raise ClusterUnavailable(f"the API server of Kubernetes is away: {error}") from error

    def _renew(self, configuration: Configuration) -> None:
        configuration.api_key = {"authorization": _read_token(self._token)}


_PLAIN: Mapping[str, Any] = {"_preload_content": False, "_request_timeout": TIMEOUT}


def _translated(what: str, error: ApiException) -> Transient:
    if error.status in (401, 403):
        return ClusterRefused(f"Kubernetes does not let the trainer {what}: {_words(error)}")
    return ClusterUnavailable(f"Kubernetes did not {what}: {error.status}: {_words(error)}")


def _words(error: ApiException) -> str:
    try:
        return str(json.loads(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)


def _there(path: Path) -> Path:
    if not path.is_file():
        raise InvalidConfiguration(f"{path} is missing: the trainer's pod has no token of its ServiceAccount")
    return path


def _read_token(path: Path) -> str:
    return _there(path).read_text(encoding="utf-8").strip()
