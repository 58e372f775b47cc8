import json
from dataclasses import dataclass
from bridge.protocol.effects import *

Snapshot = object
AppKey = object


class Hub:
    def __init__(self, s, new_id):
        self.s = s
        self.names = {}
        self.conns = {}
        self.new_id = new_id

    agent_count = property(lambda self: len(self.conns))

    def connected(self, conn, at, own_token=None):
        return [Send(conn, b'{"type":"hello"}')]

    def received(self, conn, raw, at):
        try:
            m = json.loads(raw)
        except ValueError:
            return []
        if m["type"] == "handshake":
            n = m["payload"]["requestedName"]
            self.names[n] = conn
            self.conns[conn] = n
            out = json.dumps({"type": "connectedAgentsUpdate", "payload": {"addAgent": n}}).encode()
            return [Send(c, out) for c in self.conns]
        m["meta"].setdefault("source", {})["desktopAgent"] = self.conns[conn]
        out = json.dumps(m).encode()
        d = m["meta"].get("destination")
        if d:
            return [Send(self.names[d["desktopAgent"]], out)]
        return [Send(c, out) for c in self.conns if c != conn]

    def closed(self, conn, at):
        n = self.conns.pop(conn, None)
        if n is None:
            return []
        return [
            Send(c, json.dumps({"type": "connectedAgentsUpdate", "payload": {"removeAgent": n}}).encode())
            for c in self.conns
        ]

    def tick(self, at):
        return []

    def next_deadline(self):
        return None

    def snapshot(self, at):
        return None
