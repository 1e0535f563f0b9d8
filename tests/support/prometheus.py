"""Prometheus and its tool for the tests, where set-up brought them."""

import os
import shutil
import subprocess

import pytest

PROMTOOL_SECONDS = 120.0


def require_prometheus() -> None:
    """Skip loudly on a laptop that lacks Prometheus; fail in CI."""
    if all(shutil.which(name) is not None for name in ("prometheus", "promtool")):
        return
    if os.environ.get("CI"):
        pytest.fail("Prometheus missing in CI: `make init` must bring it")
    pytest.skip("Prometheus missing: run `make init`")


def promtool(*arguments: str) -> tuple[int, str]:
    """Run promtool; return its exit status and what it says."""
    require_prometheus()
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, timeout=PROMTOOL_SECONDS, check=False
    )
    return done.returncode, done.stdout + done.stderr
