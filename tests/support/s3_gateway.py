"""A real S3 gateway on a folder: it checks the signature of every request, over TLS."""

import os
import shutil
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import fsspec
import pytest

from steadyline.servers.ports import KeptPorts
from steadyline.servers.process import Launch, ServerProcess
from tests.support.certificates import CertificateAuthority
from tests.support.servers import ROOT

KEY, SECRET = "plant-key", "marked-secret-of-s3"
BUCKET = "plant-7"


def gateway_program() -> str:
    """Return the path of versitygw; skips where it was not built, as set-up does not bring it."""
    built = ROOT / ".cache" / "go" / "bin" / "versitygw"
    found = str(built) if built.exists() else shutil.which("versitygw")
    if found is None:
        pytest.skip("versitygw missing: `make versitygw` builds it (Go; minutes)")
    return found


class S3Gateway:
    """One gateway with one bucket."""

    def __init__(self, home: Path, authority: CertificateAuthority) -> None:
        program = gateway_program()
        self.authority = authority
        self.port = KeptPorts(home / "port", 1).numbers[0]
        files = home / "files"
        (files / BUCKET).mkdir(parents=True)
        own = authority.server("s3")
        command = [program, "--port", f"127.0.0.1:{self.port}", "--cert", str(own.certificate)]
        command += ["--key", str(own.key), "posix", str(files)]
        environment = {"ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET, "PATH": os.defpath}
        launch = Launch("s3", command, home, [self.port], self._answers, environment=environment)
        self.process = ServerProcess(launch, home)

    def environment(self, secret: str = SECRET) -> dict[str, str]:
        """Return the variables of a process that may read and write."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"https://127.0.0.1:{self.port}",
            "AWS_CA_BUNDLE": str(self.authority.ca),
        }

    def _answers(self) -> bool:
        context = ssl.create_default_context(cafile=self.authority.ca)
        try:
            urllib.request.urlopen(f"https://127.0.0.1:{self.port}/", timeout=2, context=context).close()
        except urllib.error.HTTPError as error:
            error.close()
            return True
        except OSError:
            return False
        return True


def fsspec_forgets() -> None:
    """Let the next store make a client of its own, as a new process does."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()
