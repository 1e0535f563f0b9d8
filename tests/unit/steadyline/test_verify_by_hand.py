"""The commands by which the page of packages says that one is verified by hand do what the page says."""

import re
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from steadyline.manifest import SUMS, SUMS_SIGNATURE
from steadyline.package import FILES, PROVENANCE, Packages
from steadyline.signing import PUBLIC, Signer, write_pair
from steadyline.store import Store

PAGE = Path(__file__).resolve().parents[3] / "docs" / "packages.md"
TOOLS = ("bash", "openssl", "sha256sum", "base64", "sed")

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)), reason=f"one of {', '.join(TOOLS)} is not there"
)


class ByHand:
    """A package that two keys have signed, and the commands of the page."""

    def __init__(self, root: Path) -> None:
        store, line = Store(f"file://{root / 'store'}"), f"l{uuid.uuid4().hex[:8]}"
        packages = Packages(store, line, Signer.new())
        files = {name: f"bytes of {name}".encode() for name in (*FILES, PROVENANCE)}
        package = packages.write("cell", 1, files)
        packages.sign("cell", 1, package, write_pair(root / "keys"))
        self.folder = Path(package.uri.removeprefix("file://"))
        self.trusted = root / "keys" / PUBLIC
        (self.commands,) = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)

    def run(self, trusted: Path | None = None) -> "subprocess.CompletedProcess[str]":
        """Run the commands of the page in the folder of the package."""
        return subprocess.run(
            ["bash", "-c", self.commands],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "TRUSTED": str(trusted or self.trusted)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def by_hand(tmp_path: Path) -> ByHand:
    return ByHand(tmp_path)


def test_what_the_trainer_signed_is_verified(by_hand: ByHand) -> None:
    done = by_hand.run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Signature Verified Successfully"
    assert all(f"{name}: OK" in done.stdout for name in (*FILES, PROVENANCE))


@pytest.mark.parametrize("name", [*FILES, PROVENANCE, SUMS, SUMS_SIGNATURE])
def test_a_changed_byte_is_found(by_hand: ByHand, name: str) -> None:
    path = by_hand.folder / name
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 1
    path.write_bytes(data)
    done = by_hand.run()
    assert done.returncode != 0
    assert "Signature Verified Successfully" not in done.stdout


def test_another_key_verifies_nothing(by_hand: ByHand, tmp_path: Path) -> None:
    write_pair(tmp_path / "other")
    assert by_hand.run(tmp_path / "other" / PUBLIC).returncode != 0
