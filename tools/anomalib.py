"""``python -m tools.anomalib``: the environment with Anomalib, which the bench of robustness alone uses."""

import sys

from tools.setup.__main__ import one_at_a_time
from tools.setup.command import REQUIREMENTS, ROOT, SetUpFailed
from tools.setup.environments import installed, make_anomalib
from tools.setup.part import SetUpPart

FOLDER = ROOT / ".venv-anomalib"


def main() -> int:
    """Make what is missing; returns 0, or 1 after one clear line."""
    sources = [REQUIREMENTS / "anomalib.lock", ROOT / "pyproject.toml"]
    part = SetUpPart("Anomalib's environment (some minutes)", FOLDER, sources, make_anomalib, installed)
    try:
        with one_at_a_time():
            part.provide()
    except SetUpFailed as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    print(f"Anomalib's environment is there: {FOLDER.name}/bin/python -m bench.robustness --help")
    return 0


if __name__ == "__main__":
    sys.exit(main())
