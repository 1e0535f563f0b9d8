"""A real RTSP camera for tests, run by the system's Python as ``rtsp_server.py PORT``: GStreamer's server."""

import sys

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402

# VP8, because Debian's plugins-good has no H.264 encoder; a moving ball, so that no two frames are the same.
PIPELINE = (
    "( videotestsrc is-live=true pattern=ball background-color=0xff707070 "
    "! video/x-raw,width=320,height=240,framerate=20/1 ! videoconvert "
    "! vp8enc deadline=1 ! rtpvp8pay name=pay0 pt=96 )"
)


def main() -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE)
    factory.set_shared(True)
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
