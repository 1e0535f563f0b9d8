"""A real RTSP camera for tests, run by the system's Python: GStreamer's server.

``rtsp_server.py PORT`` sends pictures for ever; with a number of seconds after it, pictures and sound, and
the pictures stop after those seconds.
"""

import sys
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402

# VP8, because Debian's plugins-good has no H.264 encoder; a moving ball, so that no two frames are the same.
PIPELINE = (
    "( videotestsrc is-live=true pattern=ball background-color=0xff707070 "
    "! video/x-raw,width=320,height=240,framerate=20/1 ! videoconvert "
    "! vp8enc deadline=1 ! valve name=pictures ! rtpvp8pay name=pay0 pt=96 "
)
SOUND = (
    "audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! audioconvert ! mulawenc "
    "! rtppcmupay name=pay1 pt=0 "
)


class StallingFactory(GstRtspServer.RTSPMediaFactory):  # type: ignore[misc]
    """Stops its pictures some seconds after the first client has come."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self._seconds = seconds

    def do_configure(self, media: Any) -> None:
        pictures = media.get_element().get_by_name("pictures")
        GLib.timeout_add_seconds(self._seconds, lambda: pictures.set_property("drop", True))


def main() -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    stops = len(sys.argv) > 2
    factory = StallingFactory(int(sys.argv[2])) if stops else GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"{PIPELINE} {SOUND} )" if stops else f"{PIPELINE} )")
    factory.set_shared(True)
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
