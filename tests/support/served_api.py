"""An API under test behind a real HTTP server on a free port of loopback."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from tests.support.alerts_api import ApiUnderTest
from tests.support.eventually import eventually

Say = Callable[..., str]  # runs ``steadyline alerts`` with these words, and gives what was printed


@contextmanager
def served(api: ApiUnderTest) -> Iterator[str]:
    """Serve an API on a thread until the block ends, as the service does; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            api.app, log_config=None, lifespan="off", ws="none", http="h11", server_header=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            eventually(lambda: server.started, within=30)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            api.stop.set()
            server.should_exit = True
            thread.join(timeout=30)
    assert not thread.is_alive()
