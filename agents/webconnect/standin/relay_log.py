import random
from collections import deque
from dataclasses import dataclass
from datetime import tzinfo

from agents.webconnect.standin.sessions import Session, time_text

KEPT = 10_000
NORMAL, ERROR = "1", "2"


@dataclass(slots=True, eq=False)
class Transfer:
    sender: Session
    receiver: Session
    started: float
    file_id: str
    file_name: str
    processing_id: str
    size: int
    ended: float = 0.0
    status: str = ""

    def touches(self, session: Session) -> bool:
        return session in (self.sender, self.receiver)

    def row(self, zone: tzinfo) -> dict[str, str]:
        """Every value is text, as documented, the numbers too."""
        sender, receiver = self.sender.agent, self.receiver.agent
        seconds = max(self.ended - self.started, 0.001)
        return {
            "status": self.status,
            "startTime": time_text(self.started, zone),
            "endTime": time_text(self.ended, zone),
            "senderConnectionId": sender.connection_ids[0],
            "senderAgentId": sender.agent_id,
            "senderHostName": f"{sender.agent_id}-host",
            "receiverConnectionId": receiver.connection_ids[0],
            "receiverAgentId": receiver.agent_id,
            "receiverHostName": f"{receiver.agent_id}-host",
            "fileId": self.file_id,
            "fileName": self.file_name,
            "processingId": self.processing_id,
            "dataSize": str(self.size),
            "dataSizeOnRoute": str(self.size * 7 // 10),
            "transferRate": str(int(self.size / seconds)),
            "senderClientType": "hulft",
            "receiverClientType": "hulft",
        }


class RelayLog:
    """File transfers. One that runs is in no log: the manual documents no status for it."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._running: set[Transfer] = set()
        self._ended: deque[Transfer] = deque(maxlen=KEPT)

    def begin(self, sender: Session, receiver: Session, at: float) -> Transfer:
        number = self._rng.randrange(1, 200)
        transfer = Transfer(
            sender,
            receiver,
            at,
            file_id=f"FILE{number:04d}",
            file_name=f"daily-{number}.csv",
            processing_id=f"{self._rng.getrandbits(136):034X}",
            size=int(self._rng.lognormvariate(12, 2)),
        )
        self._running.add(transfer)
        return transfer

    def finish(self, transfer: Transfer, at: float, status: str = NORMAL) -> None:
        """Nothing happens to one that has ended already."""
        if transfer in self._running:
            self._running.remove(transfer)
            transfer.ended, transfer.status = at, status
            self._ended.append(transfer)

    def cut(self, session: Session, at: float, status: str | None = ERROR) -> None:
        """End what the session is transferring; without a status nothing is written of it."""
        for transfer in [one for one in self._running if one.touches(session)]:
            if status is None:
                self._running.remove(transfer)
            else:
                self.finish(transfer, at, status)

    def running(self) -> int:
        return len(self._running)

    def newest_first(self) -> list[Transfer]:
        return sorted(self._ended, key=lambda transfer: transfer.started, reverse=True)
