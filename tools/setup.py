"""Set-up, run by the system's Python with nothing installed: environments, Kafka's jars, system packages.

Each part is stamped with the digest of what it was made from. A part whose stamp fits is skipped; one that is
half finished has no stamp and is made again.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "requirements"
CACHE = ROOT / ".cache"
TOOL = CACHE / "tool"
UV = TOOL / "bin" / "uv"
STAMP = ".made-from"

# program (or a file that proves the package) -> Debian packages that bring it
SYSTEM: dict[str, tuple[str, ...]] = {
    "java": ("openjdk-17-jre-headless",),
    "mvn": ("maven",),
    "redis-server": ("redis-server",),
}
# Only the RTSP test needs these; without them it skips on a laptop and fails in CI.
RTSP = (
    "python3-gi",
    "gir1.2-gst-rtsp-server-1.0",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
)
RTSP_PROOF = "GstRtspServer-1.0.typelib"


class SetUpFailed(Exception):
    """What could not be done, and what to do about it."""


def main() -> int:
    """Do what is missing; returns 0, or 1 after one clear line."""
    started = time.monotonic()
    try:
        check_platform()
        system_packages()
        for name, sources, folder, make in parts():
            part(name, sources, folder, make)
    except SetUpFailed as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    print(f"set-up: ready ({time.monotonic() - started:.0f} s)")
    return 0


def parts() -> list[tuple[str, list[Path], Path, Callable[[Path], None]]]:
    """Return (name, files it is made from, folder, how) of every part, in order."""
    kafka = ROOT / "steadyline" / "servers" / "kafka_files"
    triton = [REQUIREMENTS / "triton.lock", REQUIREMENTS / "triton-server.lock"]
    return [
        ("uv", [REQUIREMENTS / "bootstrap.lock"], TOOL, make_tool),
        (
            "Python environment (PyTorch is large: some minutes)",
            [REQUIREMENTS / "dev.lock", ROOT / "pyproject.toml"],
            ROOT / ".venv",
            make_environment,
        ),
        ("Triton", triton, ROOT / ".venv-triton", make_triton),
        ("Kafka's jars", [kafka / "pom.xml", kafka / "libs.sha256"], CACHE / "kafka", make_kafka),
    ]


def part(name: str, sources: Sequence[Path], folder: Path, make: Callable[[Path], None]) -> None:
    """Make ``folder`` unless its stamp says it was made from these very files, here, by this Python."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {folder}".encode())
    for path in sources:
        digest.update(path.read_bytes())
    stamp = folder / STAMP
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest.hexdigest():
        return
    print(f"set-up: {name} …", flush=True)
    started = time.monotonic()
    stamp.unlink(missing_ok=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    make(folder)
    stamp.write_text(digest.hexdigest(), encoding="utf-8")
    print(f"set-up: {name.split(' (')[0]} done in {time.monotonic() - started:.0f} s", flush=True)


def make_tool(folder: Path) -> None:
    """A small environment that holds uv alone."""
    shutil.rmtree(folder, ignore_errors=True)
    run([sys.executable, "-m", "venv", str(folder)], "a virtual environment (is python3-venv installed?)")
    lock = str(REQUIREMENTS / "bootstrap.lock")
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", lock], "uv, through pip")


def make_environment(folder: Path) -> None:
    """Everything of the lock, nothing else, and this checkout, editable."""
    new_environment(folder)
    sync(folder, "dev")
    install(folder, "--no-deps", "-e", str(ROOT))
    run([str(folder / "bin" / "python"), "-c", "import torch, steadyline, kafka"], "a first import of torch")


def make_triton(folder: Path) -> None:
    """tritonserver from its wheel, with an old numpy: numpy 2 silently corrupts tensors in its stub."""
    new_environment(folder)
    sync(folder, "triton")
    install(folder, "--require-hashes", "--no-deps", "-r", str(REQUIREMENTS / "triton-server.lock"))


def make_kafka(folder: Path) -> None:
    """The broker's jars through Maven, held against the checked-in digests."""
    half = folder.with_name("kafka.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    source = ROOT / "steadyline" / "servers" / "kafka_files"
    goal = "dependency:copy-dependencies"
    run(["mvn", "-B", "-q", "-C", "-ntp", "-f", str(source / "pom.xml"), f"-Dlibs={half}", goal], "Maven")
    rows = (source / "libs.sha256").read_text(encoding="utf-8").splitlines()
    pinned = {row.split()[1]: row.split()[0] for row in rows}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in half.iterdir()}
    if pinned != found:
        wrong = sorted({name for name, _ in set(found.items()) ^ set(pinned.items())})
        raise SetUpFailed(f"the jars do not match libs.sha256: {', '.join(wrong[:5])}")
    shutil.rmtree(folder, ignore_errors=True)
    half.rename(folder)


def new_environment(folder: Path) -> None:
    """An environment of the Python that runs this; one that still works is kept and brought up to date."""
    python = folder / "bin" / "python"
    wanted = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    if python.exists() and subprocess.run([str(python), "-c", wanted], check=False).returncode == 0:
        return
    shutil.rmtree(folder, ignore_errors=True)
    run([str(UV), "venv", "-q", "--python", sys.executable, str(folder)], "a virtual environment")


def sync(folder: Path, lock: str) -> None:
    """Bring an environment to exactly what a lock says, progress shown; mends a half-finished one."""
    python = str(folder / "bin" / "python")
    locked = str(REQUIREMENTS / f"{lock}.lock")
    run([str(UV), "pip", "sync", "--python", python, "--require-hashes", locked], f"the {lock} packages")


def install(folder: Path, *what: str) -> None:
    """Install into ``folder`` besides what it has."""
    python = str(folder / "bin" / "python")
    run([str(UV), "pip", "install", "-q", "--python", python, *what], f"packages into {folder.name}")


def run(command: Sequence[str], what: str) -> None:
    """Run a command with its output shown; SetUpFailed when it fails."""
    environment = {**os.environ, "UV_HTTP_TIMEOUT": "300", "UV_LINK_MODE": "hardlink"}
    environment.pop("VIRTUAL_ENV", None)
    try:
        status = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False).returncode
    except FileNotFoundError as error:
        raise SetUpFailed(f"{command[0]} is not there: {error}") from error
    if status != 0:
        raise SetUpFailed(f"could not make {what}: {' '.join(command[:4])} … ended with status {status}")


def check_platform() -> None:
    """Python 3.11 or newer, Linux on x86-64 (the Triton wheel is for nothing else)."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise SetUpFailed("the local servers need Linux on x86-64")


def system_packages() -> None:
    """Install what is missing through apt-get as root; otherwise say it in one line."""
    missing = [package for program, names in SYSTEM.items() if not has(program) for package in names]
    optional = [] if has_rtsp() else list(RTSP)
    if not missing and not optional:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"set-up: apt-get install {' '.join(missing + optional)} …", flush=True)
        apt = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        update = subprocess.run(["apt-get", "update", "-qq"], env=apt, check=False)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, *optional]
        done = subprocess.run(command, env=apt, stdout=subprocess.DEVNULL, check=False)
        if (update.returncode or done.returncode) and missing:
            raise SetUpFailed(f"apt-get could not install {' '.join(missing)}")
    elif missing:
        raise SetUpFailed(f"please install: {' '.join(missing)} (Debian's names; Java 17 or newer)")


def has(program: str) -> bool:
    """True when the program is there, and Java is 17 or newer."""
    if shutil.which(program) is None:
        return False
    if program != "java":
        return True
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    version = said.partition('version "')[2].partition('"')[0].split(".")[0]
    return version.isdigit() and int(version) >= 17


def has_rtsp() -> bool:
    """True when the RTSP server that one test uses is installed."""
    return any(Path("/usr/lib").glob(f"*/girepository-1.0/{RTSP_PROOF}"))


if __name__ == "__main__":
    sys.exit(main())
