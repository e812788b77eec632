"""Storage and STS that answer as a test wants it, on real sockets; most of them misbehave."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs

Answer = Callable[["RawServer", socket.socket], None]
"""Writes to the connection, whose request has been read; the connection is closed after it."""


class RawServer:
    """Listens on a free port of the loopback; ``requests`` are the heads and bodies it got, in order."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.requests: list[bytes] = []
        self.asked = threading.Semaphore(0)
        self.stopping = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> RawServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        with suppress(OSError):  # wakes the thread that accepts
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):  # the client left, or did not trust us
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                self.requests.append(_request(connection))
                self.asked.release()
                self._answer(self, connection)
        connection.close()


def _request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    wanted = int(lengths[0].partition(b":")[2]) if lengths else 0
    while len(body) < wanted:
        body += _some(connection)
    return head + b"\r\n\r\n" + body


def _some(connection: socket.socket) -> bytes:
    received = connection.recv(65_536)
    if not received:
        raise ConnectionResetError
    return received


# --- answers ------------------------------------------------------------------------------------


def sends(data: bytes) -> Answer:
    """These bytes and nothing else."""
    return lambda _, connection: connection.sendall(data)


def answers(status: int, body: bytes = b"", *headers: str) -> Answer:
    """An HTTP answer whose length is told as it is."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return sends("".join(f"{line}\r\n" for line in (*lines, "")).encode() + body)


def refuses(status: int, code: str) -> Answer:
    """An error as S3 words it."""
    error = f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>m</Message></Error>'
    return answers(status, error.encode(), "Content-Type: application/xml")


def hangs(server: RawServer, _: socket.socket) -> None:
    """Nothing, for as long as the server lives."""
    server.stopping.wait()


def drips(text: bytes) -> Answer:
    """``text``, then its last byte again and again, slowly, for as long as the server lives."""

    def drip(server: RawServer, connection: socket.socket) -> None:
        connection.sendall(text)
        while not server.stopping.wait(0.02):
            connection.sendall(text[-1:])

    return drip


def pours(head: bytes, portion: bytes) -> Answer:
    """``head``, then ``portion`` for ever, as fast as it is taken."""

    def pour(_: RawServer, connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(portion)

    return pour


# --- STS ----------------------------------------------------------------------------------------

_ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>
<SessionToken>{token}</SessionToken><Expiration>{expires}</Expiration></Credentials>
</AssumeRoleResult></AssumeRoleResponse>"""


def assumes(access_key_id: str, secret: str, token: str, expires: str) -> Answer:
    """What AssumeRole answers; ``expires`` as ``2026-01-15T13:30:00Z``."""
    text = _ASSUMED.format(id=access_key_id, secret=secret, token=token, expires=expires)
    return answers(200, text.encode(), "Content-Type: text/xml")


def form(request: bytes) -> dict[str, str]:
    """The form that a request has as its body."""
    return {name: values[0] for name, values in parse_qs(request.partition(b"\r\n\r\n")[2].decode()).items()}


# --- names --------------------------------------------------------------------------------------


def resolves(*addresses: str) -> Callable[..., Sequence[Any]]:
    """A resolver to which every name has these addresses."""

    def resolve(host: str, port: int, **_: Any) -> Sequence[Any]:
        return [
            (socket.AF_INET6, 1, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, 1, 6, "", (address, port))
            for address in addresses
        ]

    return resolve
