"""A session ends when what answers in the gateway's place says something that says nothing of the grant."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ringfence.cli.gateway_options import Gateway
from ringfence.cli.session import _Watch


@contextmanager
def answering(facts: Any) -> Iterator[str]:
    """Answer every call with the same facts; gives the address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(facts).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("facts", [{"grants": [{"number": 1}]}, {"grants": [[]]}, {"other": 1}])
def test_answer_that_says_nothing_of_the_grant_ends_the_session(facts: Any) -> None:
    with answering(facts) as url:
        watch = _Watch(1, Gateway(url, "token"))
        with pytest.raises(KeyboardInterrupt), watch:
            time.sleep(20)

    assert watch.why_ended().startswith("nobody says whether grant 1 holds: the answer was not understood")


@pytest.mark.parametrize("seconds", [0, 1.5])
def test_nothing_asks_for_the_grant_any_more_once_the_session_is_left(seconds: float) -> None:
    """Also where the gateway does not answer, while a call is about to be tried again."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        with _Watch(1, Gateway(f"http://127.0.0.1:{deaf.getsockname()[1]}", "token")):
            time.sleep(seconds)
            assert "watch the grant" in {thread.name for thread in threading.enumerate()}

        assert "watch the grant" not in {thread.name for thread in threading.enumerate()}


def test_answer_that_the_grant_holds_ends_nothing() -> None:
    with answering({"grants": [{"number": 1, "live": True}]}) as url, _Watch(1, Gateway(url, "token")) as watch:
        time.sleep(2)
        assert watch.why_ended() == ""
