"""etcd, API server, controllers and scheduler as child processes on free ports of loopback."""

import json
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from steadyline.servers.ports import free_ports
from steadyline.servers.process import Launch, ServerProcess
from tools.verify_deploy.cluster.api import ApiRefused, ClusterApi

# What needs a cloud or real nodes is left out.
CONTROLLERS = "*,-node-ipam-controller,-cloud-node-lifecycle-controller,-persistentvolume-expander-controller"
USER = "admin"
STOP_SECONDS = 0.0  # nothing is to be kept; the API server would wait for everybody who watches
# A controller spares the server of a plant: it asks it twenty times a second, and waits.
UNTHROTTLED = ("--kube-api-qps=1000", "--kube-api-burst=2000")


class ControlPlane:
    """A control plane that forgets everything when its folder goes; no container ever runs in it.

    ``kubeconfig`` is there once it is started. Its key is made for this run alone and lies in the folder.
    """

    def __init__(self, kubelab: Path, home: Path) -> None:
        self._kubelab, self._home = str(kubelab), home
        self._etcd, self._peer, self._port, *self._others = free_ports(5)
        self._token = secrets.token_urlsafe(24)
        self._servers: list[ServerProcess] = []
        self._cancel = threading.Event()
        self.kubeconfig = home / "kubeconfig"

    def start(self) -> ClusterApi:
        """Start all four and return the way to the API; raises ServerFailed, and stops what has started."""
        self._home.mkdir(parents=True, mode=0o700, exist_ok=True)
        self._write_keys()
        try:
            self._start("etcd", self._etcd_options(), [self._etcd], _is_there)
            self._start("kube-apiserver", self._api_options(), [self._port], self._is_ready)
            self._write_kubeconfig()
            manager, scheduler = self._others
            self._start_both(
                ("kube-controller-manager", self._manager_options(manager), manager),
                ("kube-scheduler", self._client_options(scheduler), scheduler),
            )
        except BaseException:
            self.stop()
            raise
        return self._api

    def stop(self) -> None:
        """End them, the last one first."""
        while self._servers:
            self._servers.pop().stop()

    @property
    def processes(self) -> list[int]:
        """The process ids of what runs."""
        return [server.pid for server in self._servers]

    def _start_both(self, *both: tuple[str, Sequence[str], int]) -> None:
        """Start servers side by side; an interruption ends the start of each."""
        with ThreadPoolExecutor(len(both)) as pool:
            started = [pool.submit(self._start, name, options, [at], _is_there) for name, options, at in both]
            try:
                for one in started:
                    one.result()
            except BaseException:
                self._cancel.set()
                raise

    def _start(
        self, name: str, options: Sequence[str], ports: Sequence[int], is_ready: Callable[[], bool]
    ) -> None:
        command = [self._kubelab, name, *options]
        launch = Launch(name, command, self._home, ports, is_ready, stop_seconds=STOP_SECONDS)
        server = ServerProcess(launch, self._home, self._cancel)
        self._servers.append(server)
        server.start()

    def _write_keys(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        _write_private(self._home / "accounts.key", pem.decode())
        _write_private(self._home / "tokens.csv", f"{self._token},{USER},{USER},system:masters\n")

    def _etcd_options(self) -> list[str]:
        client, peer = f"http://127.0.0.1:{self._etcd}", f"http://127.0.0.1:{self._peer}"
        return [
            *("--data-dir", str(self._home / "etcd"), "--log-level", "warn", "--unsafe-no-fsync"),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"default={peer}"),
        ]

    def _api_options(self) -> list[str]:
        keys = self._home / "accounts.key"
        return [
            f"--etcd-servers=http://127.0.0.1:{self._etcd}",
            *("--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={self._port}"),
            f"--cert-dir={self._certificates}",
            f"--token-auth-file={self._home / 'tokens.csv'}",
            *("--authorization-mode=Node,RBAC", "--allow-privileged=true"),
            *(f"--service-account-key-file={keys}", f"--service-account-signing-key-file={keys}"),
            "--service-account-issuer=https://kubernetes.default.svc",
            *("--service-cluster-ip-range=10.96.0.0/16", "--endpoint-reconciler-type=none"),
            "--enable-priority-and-fairness=false",
        ]

    def _client_options(self, port: int) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig}",
            *("--bind-address=127.0.0.1", f"--secure-port={port}", "--leader-elect=false"),
            *UNTHROTTLED,
        ]

    def _manager_options(self, port: int) -> list[str]:
        return [
            *self._client_options(port),
            f"--service-account-private-key-file={self._home / 'accounts.key'}",
            *("--use-service-account-credentials=false", f"--controllers={CONTROLLERS}"),
            "--node-monitor-grace-period=1h",
        ]

    @property
    def _certificates(self) -> Path:
        return self._home / "certificates"

    @cached_property
    def _api(self) -> ClusterApi:
        """The API. The server makes its certificate at the start, with that of its authority beside it."""
        return ClusterApi(f"127.0.0.1:{self._port}", self._token, self._certificates / "apiserver.crt")

    def _is_ready(self) -> bool:
        try:
            return bool(self._api.call("GET", "/readyz") == "ok")
        except (ApiRefused, OSError):
            return False

    def _write_kubeconfig(self) -> None:
        authority = str(self._certificates / "apiserver.crt")
        server = f"https://127.0.0.1:{self._port}"
        text: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": {"server": server, "certificate-authority": authority}}],
            "users": [{"name": USER, "user": {"token": self._token}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": USER}}],
            "current-context": "lab",
        }
        _write_private(self.kubeconfig, json.dumps(text, indent=1))


def _is_there() -> bool:
    return True  # it listens once it is ready


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    os.chmod(path, 0o600)
    path.write_text(text, encoding="utf-8")
