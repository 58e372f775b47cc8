"""A syslog receiver on loopback: reads octet-counted messages to the end of each connection, as a test scripts it."""

import socket
import threading
from contextlib import suppress


class Receiver:
    """`messages` has what came in connections that were read to their end; `behave(connection)` may do otherwise."""

    def __init__(self, behave=None, tls=None):
        self.behave, self.tls = behave or self.take, tls
        self.messages, self.connections = [], 0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"{'tls' if tls else 'tcp'}://127.0.0.1:{self.listening.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *about):
        self.listening.close()

    def take(self, connection):
        """Read everything, keep it, and close."""
        data = b""
        while part := connection.recv(65_536):
            data += part
        self.messages += list(frames(data))

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self.listening.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        with suppress(OSError), connection:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection:
                self.behave(connection)


def frames(data):
    while data:
        length, _, rest = data.partition(b" ")
        yield rest[: int(length)]
        data = rest[int(length) :]
