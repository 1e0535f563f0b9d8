"""``steadyline triton --check``: its exit status, what it tells, and what keeps it from starting."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from steadyline.cli import main
from steadyline.grid import Grid
from steadyline.service import EXIT_OK
from steadyline.settings import TritonSettings, read_settings
from steadyline.triton_config import ServedShape, Serving, config_pbtxt
from tests.support.s3_gateway import fsspec_forgets

LINE = "line: l\nstore: s3://bucket/l\nstore_in_clear: {}\nproducts: {{part: {{}}}}\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two products of one version each."""
    monkeypatch.delenv("TRITON_ADMIN_KEY", raising=False)
    folder = tmp_path / "models"
    for product in ("cell", "part"):
        (folder / product / "1").mkdir(parents=True)
        (folder / product / "1" / "model.onnx").write_bytes(b"graph")
        text = config_pbtxt(ServedShape(product, Grid.square(32), 1, 4, 4), Serving())
        (folder / product / "config.pbtxt").write_text(text)
    return folder


def check(*words: str | Path) -> int:
    return main(["triton", "--check", *map(str, words)])


def test_a_library_beside_a_model_keeps_its_product_from_being_served(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check("--repository", repository) == EXIT_OK
    assert "to be served: cell/1, part/1" in capsys.readouterr().err
    (repository / "part" / "libtriton_onnxruntime.so").write_bytes(b"\x7fELF")
    (repository / "a[x]" / "1").mkdir(parents=True)
    assert check("--repository", repository) == 1
    told = capsys.readouterr().err
    assert "refused: part: 'libtriton_onnxruntime.so' in its folder is not the trainer's" in told
    assert "refused: 'a[x]': " in told
    assert "to be served: cell/1\n" in told


def test_a_copy_holds_what_has_passed(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "part" / "1" / "model.py").write_text("import os")
    target = tmp_path / "copy"
    target.mkdir()
    assert check("--repository", target, "--from", f"file://{repository}") == 1
    assert "to be served: cell/1\n" in capsys.readouterr().err
    assert sorted(path.name for path in target.rglob("*")) == ["1", "cell", "config.pbtxt", "model.onnx"]


@pytest.fixture
def clients_of_ones_own() -> Iterator[None]:
    """A client of S3 is made anew, and none with the address of this test is left to others."""
    fsspec_forgets()
    yield
    fsspec_forgets()


@pytest.mark.usefixtures("clients_of_ones_own")
@pytest.mark.parametrize(("says", "status"), [("true", EXIT_OK), ("false", 2)])
def test_a_store_in_clear_is_opened_when_the_line_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    says: str,
    status: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in (("ENDPOINT_URL", "http://192.0.2.1:9"), ("ACCESS_KEY_ID", "a")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.delenv("TRITON_ADMIN_KEY", raising=False)
    line = tmp_path / "line.yaml"
    line.write_text(LINE.format(says))
    (tmp_path / "models").mkdir()
    assert check("--repository", tmp_path / "models", "--line", line) == status
    told = capsys.readouterr().err
    assert ("store_in_clear: true" in told) == (says == "false")


def test_an_empty_key_is_none(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRITON_ADMIN_KEY", "")
    assert main(["triton", "--repository", str(repository)]) == 2
    assert "TRITON_ADMIN_KEY is empty" in capsys.readouterr().err


def test_a_key_of_an_empty_file_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key").write_text("\n")
    monkeypatch.delenv("TRITON_ADMIN_KEY", raising=False)
    monkeypatch.setenv("TRITON_ADMIN_KEY_FILE", str(tmp_path / "key"))
    assert check("--repository", tmp_path) == 2
    assert "TRITON_ADMIN_KEY is empty" in capsys.readouterr().err
    monkeypatch.delenv("TRITON_ADMIN_KEY_FILE")
    assert read_settings(TritonSettings).admin_key is None
