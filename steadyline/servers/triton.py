"""Triton Inference Server from a wheel: explicit control, repository API behind a key, loopback only."""

import hashlib
import os
import secrets
import shutil
import subprocess
import urllib.error
import urllib.request
from importlib.resources import files
from pathlib import Path

from steadyline.servers.ports import KeptPorts
from steadyline.servers.process import Launch, ServerFailed

KEY_HEADER = "admin-key"
# Calls that change the server or read its memory need the key. Inference, metadata and health stay open.
CLOSED = "model-repository,shared-memory,trace,logging"
SHARED_MEMORY = Path("/dev/shm")


class TritonFiles:
    """One server; ports and admin key are chosen once per home, and the repository starts empty.

    ``environment`` is a virtual environment with the nvidia-pytriton wheel (for its tritonserver binary),
    onnxruntime and numpy < 2.
    """

    def __init__(self, home: Path, environment: Path) -> None:
        self._home, self._environment = home / "triton", environment
        self.ports = KeptPorts(self._home / "ports", 2)
        # The stubs' shared memory is outside of any home, so a prefix says which home it belongs to.
        self._prefix = f"steadyline-{hashlib.sha256(str(self._home).encode()).hexdigest()[:12]}-"

    @property
    def grpc(self) -> str:
        """The gRPC address."""
        return f"127.0.0.1:{self.ports.numbers[0]}"

    @property
    def http(self) -> str:
        """The HTTP address."""
        return f"127.0.0.1:{self.ports.numbers[1]}"

    @property
    def admin_key(self) -> str:
        """The key of the repository API."""
        record = self._home / "admin-key"
        if not record.exists():
            self._home.mkdir(parents=True, exist_ok=True)
            record.touch(mode=0o600)
            record.write_text(secrets.token_urlsafe(24), encoding="utf-8")
        return record.read_text(encoding="utf-8")

    @property
    def repository(self) -> Path:
        """The model repository: <product>/config.pbtxt and <product>/<version>/model.onnx."""
        return self._home / "repository"

    def launch(self) -> Launch:
        """Make the backends folder and return how to start the server."""
        package = self._packages() / "pytriton" / "tritonserver"
        if not (package / "bin" / "tritonserver").exists():
            raise ServerFailed(f"Triton's environment {self._environment} is incomplete: run `make init`")
        self.repository.mkdir(parents=True, exist_ok=True)
        environment = {
            "PATH": f"{self._environment / 'bin'}:{os.defpath}",  # its python3 runs the backends
            "LD_LIBRARY_PATH": f"{self._python_libraries()}:{self._packages() / 'nvidia_pytriton.libs'}",
            "HOME": str(self._home),
        }
        command = self._command(package / "bin" / "tritonserver", self._backends(package))
        return Launch(
            "triton",
            command,
            self._home,
            self.ports.numbers,
            self._answers,
            environment=environment,
            tidy=self._tidy,
        )

    def _command(self, program: Path, backends: Path) -> list[str]:
        grpc, http = self.ports.numbers
        closed = f"{CLOSED}:{KEY_HEADER}={self.admin_key}"
        return [
            str(program),
            f"--model-repository={self.repository}",
            f"--backend-directory={backends}",
            "--model-control-mode=explicit",
            # A load takes 0.1 s instead of 1.35 s; our config.pbtxt files are complete.
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
            f"--http-restricted-api={closed}",
            f"--grpc-restricted-protocol={closed}",
            f"--backend-config=python,shm-region-prefix-name={self._prefix}",
        ]

    def _packages(self) -> Path:
        return next(iter((self._environment / "lib").glob("python3.*/site-packages")), self._environment)

    def _python_libraries(self) -> str:
        """Return the folder of the shared library of that environment's Python; the stub is linked to it."""
        ask = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"
        command = [str(self._environment / "bin" / "python"), "-I", "-c", ask]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ServerFailed(f"Triton's environment {self._environment} is broken: run `make init`")
        return done.stdout.strip()

    def _backends(self, package: Path) -> Path:
        """Copy the Python backend and its stub (Triton refuses links), and add ours for onnxruntime."""
        version = self._packages().parent.name.removeprefix("python")
        folder = self._home / "backends"
        shutil.rmtree(folder, ignore_errors=True)  # 3 MB: copying is cheaper than checking
        (folder / "python").mkdir(parents=True)
        (folder / "onnxruntime").mkdir()
        backend = package / "backends" / "python"
        stub = package / "python_backend_stubs" / version / "triton_python_backend_stub"
        for path in (backend / "libtriton_python.so", backend / "triton_python_backend_utils.py", stub):
            shutil.copy(path, folder / "python" / path.name)
        source = files("steadyline.servers") / "triton_backend" / "model.py"
        (folder / "onnxruntime" / "model.py").write_bytes(source.read_bytes())
        return folder

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.http}/v2/health/ready", timeout=2) as answer:
                return int(answer.status) == 200
        except (OSError, urllib.error.URLError):
            return False

    def _tidy(self) -> None:
        """Remove the shared memory of a killed server; its name begins with this home's prefix."""
        for path in SHARED_MEMORY.glob(f"{self._prefix}*"):
            path.unlink(missing_ok=True)
