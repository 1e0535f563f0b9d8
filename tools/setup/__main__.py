"""``python3 -m tools.setup``: do what is missing, skip what is there."""

from __future__ import annotations

import fcntl
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tools.setup import environments, kafka
from tools.setup.command import CACHE, REQUIREMENTS, ROOT, SetUpFailed, say
from tools.setup.interpreter import go_on_with_a_fitting_python, is_fitting
from tools.setup.part import SetUpPart
from tools.setup.system import check_platform, provide

if TYPE_CHECKING:
    from collections.abc import Iterator


def main() -> int:
    """Return 0, or 1 after one clear line."""
    started = time.monotonic()
    try:
        check_platform()
        if not is_fitting():
            go_on_with_a_fitting_python()
        with one_at_a_time():
            provide()
            for part in parts():
                part.provide()
    except SetUpFailed as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("set-up: interrupted; the next one goes on from here", file=sys.stderr)
        return 130
    say(f"ready ({time.monotonic() - started:.1f} s)")
    return 0


def parts() -> list[SetUpPart]:
    """Return all parts, in order."""
    product = [REQUIREMENTS / "dev.lock", ROOT / "pyproject.toml"]
    triton = [REQUIREMENTS / "triton.lock", REQUIREMENTS / "triton-server.lock"]
    jars, installed = CACHE / "kafka", environments.installed
    bootstrap = [REQUIREMENTS / "bootstrap.lock"]
    return [
        SetUpPart("uv", environments.TOOL, bootstrap, environments.make_tool, installed),
        SetUpPart(
            "the Python environment (PyTorch is large: some minutes)",
            ROOT / ".venv",
            product,
            environments.make_product,
            installed,
        ),
        SetUpPart("Triton's environment", ROOT / ".venv-triton", triton, environments.make_triton, installed),
        SetUpPart(
            "the tools of the deployment",
            environments.DEPLOY,
            [REQUIREMENTS / "deploy.lock"],
            environments.make_deploy,
            installed,
        ),
        SetUpPart("Kafka's jars", jars, [kafka.POM, kafka.SUMS], kafka.make_jars, kafka.jars),
        SetUpPart(
            "an archive of Kafka's classes",
            CACHE / "kafka-classes",
            [kafka.POM, kafka.SUMS],
            kafka.make_archive,
            kafka.archive,
            also_from=kafka.java(),
        ),
    ]


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait while another set-up works in this checkout.

    The lock of ``steadyline.folder_lock`` is not there yet: this runs before the product is installed.
    """
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "set-up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another one works here; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
