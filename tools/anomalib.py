"""``python -m tools.anomalib``: the environment with Anomalib, which the bench of robustness alone uses."""

import sys

from tools.setup.bench_environment import provide
from tools.setup.command import REQUIREMENTS, ROOT
from tools.setup.environments import installed, make_anomalib
from tools.setup.part import SetUpPart

PART = SetUpPart(
    "Anomalib's environment (some minutes)",
    ROOT / ".venv-anomalib",
    [REQUIREMENTS / "anomalib.lock", ROOT / "pyproject.toml"],
    make_anomalib,
    installed,
)

if __name__ == "__main__":
    sys.exit(provide(PART, "bench.robustness"))
