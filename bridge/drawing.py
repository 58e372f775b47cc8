"""Who is connected to what, as a drawing: the desktop agents left, then the bridge, the private channels right.

Only geometry: the template makes an SVG of it, and the tables beside it say the same in words. All lengths are CSS
pixels on a narrow phone, where the drawing is as wide as the screen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from unicodedata import east_asian_width

from agents.models import AgentSession
from audit.harmless import harmless
from bridge.channels import Channel

WIDTH = 288
_BOX, _HEIGHT, _PITCH, _TOP = 112, 38, 48, 26
_LEFT_EDGE, _RIGHT_EDGE = _BOX + 1, WIDTH - _BOX - 1
#: Boxes of each side that a drawing can hold and still be read.
MOST = 14
#: Letters, the wide ones counted twice, that fit into a box.
_LETTERS = 12


@dataclass(frozen=True)
class Box:
    x: int
    y: int
    name: str
    note: str
    width: int = _BOX
    height: int = _HEIGHT

    @property
    def middle(self) -> int:
        return self.y + self.height // 2

    @property
    def shown(self) -> str:
        return shortened(self.name, _LETTERS)


@dataclass(frozen=True)
class Line:
    """`is_home`: to the agent of the channel's creator."""

    path: str
    is_home: bool = False


@dataclass(frozen=True)
class Drawing:
    agents: list[Box]
    channels: list[Box]
    lines: list[Line] = field(default_factory=list)
    left_out: int = 0
    width: int = WIDTH

    @property
    def height(self) -> int:
        return _TOP + max(1, len(self.agents), len(self.channels)) * _PITCH

    @property
    def middle(self) -> int:
        return WIDTH // 2

    @property
    def bar_height(self) -> int:
        return self.height - _TOP - (_PITCH - _HEIGHT)

    @property
    def top(self) -> int:
        return _TOP


def draw(agents: Sequence[AgentSession], channels: Sequence[Channel], more_channels: int = 0) -> Drawing:
    """Those with private channels come first where there is no room for all. `more_channels`: so many are not given."""
    talking = {name for channel in channels[:MOST] for name in channel.agents}
    chosen = sorted(agents, key=lambda agent: agent.received["name"] not in talking)[:MOST]
    left = {
        agent.received["name"]: Box(1, _y(row), agent.agent_id, f"FDC3 {agent.version}")
        for row, agent in enumerate(sorted(chosen, key=lambda agent: agent.agent_id))
    }
    right = [
        Box(
            _RIGHT_EDGE, _y(row), channel.id, f"{len(channel.members)} member{'s' if len(channel.members) != 1 else ''}"
        )
        for row, channel in enumerate(channels[:MOST])
    ]
    lines = [Line(f"M{_LEFT_EDGE} {box.middle}H{WIDTH // 2}") for box in left.values()]
    for channel, box in zip(channels, right, strict=False):
        for name in channel.agents:
            if name in left:
                lines.append(Line(_curve(left[name], box), is_home=name == channel.home))
    left_out = len(agents) + len(channels) + more_channels - len(left) - len(right)
    return Drawing(list(left.values()), right, lines, left_out)


def _y(row: int) -> int:
    return _TOP + row * _PITCH


def _curve(agent: Box, channel: Box) -> str:
    middle = WIDTH // 2
    return (
        f"M{_LEFT_EDGE} {agent.middle}C{middle} {agent.middle} {middle} {channel.middle} {_RIGHT_EDGE} {channel.middle}"
    )


def shortened(text: str, letters: int) -> str:
    """As much of it, harmless, as fits into so many letters."""
    text, room = harmless(text), letters
    for position, letter in enumerate(text):
        room -= 2 if east_asian_width(letter) in "WF" else 1
        if room < 0:
            return text[: max(0, position - 1)] + "…"
    return text
