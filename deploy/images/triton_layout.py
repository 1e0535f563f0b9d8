"""``triton_layout.py TRITON STEADYLINE OUT``: lays the wheel's Triton out as NVIDIA's image has it.

``TRITON`` and ``STEADYLINE`` are virtual environments. ``OUT`` gets ``bin/tritonserver``, ``lib`` and
``backends``: Python's own backend, and ours, which answers to the name onnxruntime. Files that are copied are
removed where they were, so that no image holds them twice.
"""

import shutil
import sys
import sysconfig
from pathlib import Path


def main(triton: Path, steadyline: Path, out: Path) -> None:
    """Make the folders of ``out``."""
    packages, ours = (next(one.glob("lib/python3.*/site-packages")) for one in (triton, steadyline))
    server = packages / "pytriton" / "tritonserver"
    version = packages.parent.name.removeprefix("python")
    python, onnxruntime = out / "backends" / "python", out / "backends" / "onnxruntime"
    for folder in (out / "bin", python, onnxruntime):
        folder.mkdir(parents=True)
    shutil.move(server / "bin" / "tritonserver", out / "bin" / "tritonserver")
    shutil.move(packages / "nvidia_pytriton.libs", out / "lib")
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    backend = server / "backends" / "python"
    for path in (backend / "libtriton_python.so", backend / "triton_python_backend_utils.py", stub):
        shutil.copy(path, python / path.name)
    shutil.copy(ours / "steadyline" / "servers" / "triton_backend" / "model.py", onnxruntime / "model.py")
    library = f"libpython{version}.so.1.0"
    places = [Path(str(sysconfig.get_config_var("LIBDIR"))), Path("/usr/lib/x86_64-linux-gnu")]
    found = next(place / library for place in places if (place / library).exists())
    shutil.copy(found, out / "lib" / library)  # the stub is linked to it
    shutil.rmtree(packages / "pytriton")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
