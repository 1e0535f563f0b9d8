"""``python -m tools.uv …``: the uv of the set-up, with the mirrors that pip is configured for."""

import os
import sys

from tools.setup.environments import TOOL, python_of, uv_program
from tools.setup.mirrors import uv_environment

if __name__ == "__main__":
    environment = {**os.environ, **uv_environment(python_of(TOOL))}
    os.execve(uv_program(), [uv_program(), *sys.argv[1:]], environment)
