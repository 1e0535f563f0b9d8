"""Which devices of Linux are cameras."""

from pathlib import Path

from steadyline.own_line.usb_cameras import usb_cameras


def device(listed: Path, name: str, index: int, title: str) -> None:
    (listed / name).mkdir(parents=True)
    (listed / name / "index").write_text(f"{index}\n")
    (listed / name / "name").write_text(f"{title}\n")


def test_a_camera_is_the_device_that_gives_its_pictures(tmp_path: Path) -> None:
    device(tmp_path, "video10", 0, "Second")
    device(tmp_path, "video0", 0, "First")
    device(tmp_path, "video1", 1, "First")
    (tmp_path / "video2").mkdir()  # it was unplugged meanwhile
    assert [(one.device, one.title) for one in usb_cameras(tmp_path)] == [
        ("/dev/video0", "First"),
        ("/dev/video10", "Second"),
    ]


def test_a_machine_without_cameras_has_none(tmp_path: Path) -> None:
    assert usb_cameras(tmp_path / "nothing") == []
