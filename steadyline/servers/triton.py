"""Triton Inference Server from a wheel: explicit control, repository API closed by a key, loopback only."""

import os
import secrets
import shutil
import subprocess
import urllib.error
import urllib.request
from importlib.resources import files
from pathlib import Path

from steadyline.servers.ports import free_ports
from steadyline.servers.process import Launch, ServerFailed

KEY_HEADER = "admin-key"


class TritonFiles:
    """One server; ports and admin key are chosen once per home, the repository starts empty."""

    def __init__(self, home: Path, environment: Path, cache: Path) -> None:
        self._home, self._environment, self._cache = home / "triton", environment, cache / "triton"

    @property
    def grpc(self) -> str:
        """The gRPC address."""
        return f"127.0.0.1:{self._chosen()[0]}"

    @property
    def http(self) -> str:
        """The HTTP address."""
        return f"127.0.0.1:{self._chosen()[1]}"

    @property
    def admin_key(self) -> str:
        """The key of the repository API."""
        return self._chosen()[3]

    @property
    def repository(self) -> Path:
        """The model repository: <product>/config.pbtxt and <product>/<version>/model.onnx."""
        return self._home / "repository"

    def launch(self) -> Launch:
        """Make the backends folder and return how to start the server."""
        python = self._environment / "bin" / "python"
        package = self._packages() / "pytriton" / "tritonserver"
        if not (package / "bin" / "tritonserver").exists():
            raise ServerFailed(f"Triton's environment {self._environment} is incomplete: run `make init`")
        self.repository.mkdir(parents=True, exist_ok=True)
        backends = self._backends(package)
        libdir = subprocess.run(
            [str(python), "-c", "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        environment = {
            "PATH": f"{self._environment / 'bin'}:{os.defpath}",
            "LD_LIBRARY_PATH": f"{libdir}:{self._packages() / 'nvidia_pytriton.libs'}",
            "HOME": str(self._home),
        }
        return Launch("triton", self._command(package, backends), self._answers, environment)

    def _command(self, package: Path, backends: Path) -> list[str]:
        grpc, http, _, key = self._chosen()
        return [
            str(package / "bin" / "tritonserver"),
            f"--model-repository={self.repository}",
            f"--backend-directory={backends}",
            "--model-control-mode=explicit",
            "--disable-auto-complete-config",
            "--exit-on-error=false",
            "--strict-readiness=false",
            "--allow-metrics=false",
            "--allow-gpu-metrics=false",
            "--pinned-memory-pool-byte-size=0",
            "--http-address=127.0.0.1",
            f"--http-port={http}",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={grpc}",
            f"--http-restricted-api=model-repository:{KEY_HEADER}={key}",
            f"--grpc-restricted-protocol=model-repository:{KEY_HEADER}={key}",
            f"--backend-config=python,shm-region-prefix-name=steadyline-{os.getpid()}-{grpc}",
        ]

    def _chosen(self) -> tuple[int, int, int, str]:
        record = self._home / "chosen"
        if not record.exists():
            self._home.mkdir(parents=True, exist_ok=True)
            ports = " ".join(map(str, free_ports(3)))
            record.touch(mode=0o600)
            record.write_text(f"{ports} {secrets.token_urlsafe(24)}", encoding="utf-8")
        grpc, http, metrics, key = record.read_text(encoding="utf-8").split()
        return int(grpc), int(http), int(metrics), key

    def _packages(self) -> Path:
        return next(iter((self._environment / "lib").glob("python3.*/site-packages")), self._environment)

    def _backends(self, package: Path) -> Path:
        """Copy (links are refused) the Python backend and its stub, and add ours for onnxruntime."""
        version = self._packages().parent.name.removeprefix("python")
        folder = self._home / "backends"
        python = folder / "python"
        if not python.exists():
            python.mkdir(parents=True)
            for name in ("libtriton_python.so", "triton_python_backend_utils.py"):
                shutil.copy(package / "backends" / "python" / name, python / name)
            stub = package / "python_backend_stubs" / version / "triton_python_backend_stub"
            shutil.copy(stub, python / stub.name)
        ours = folder / "onnxruntime"
        ours.mkdir(exist_ok=True)
        source = files("steadyline.servers") / "triton_backend" / "model.py"
        (ours / "model.py").write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
        return folder

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.http}/v2/health/ready", timeout=2) as answer:
                return int(answer.status) == 200
        except (OSError, urllib.error.URLError):
            return False
