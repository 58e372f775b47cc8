import pytest
from django.template import Context, Template

from audit.harmless import harmless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("agent1", "agent1"),
        ("転送エージェント　1号", "転送エージェント　1号"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\0b\x07\x1b[31m\x9b", r"a\u0000b\u0007\u001b[31m\u009b"),
        ("two\r\nlines\u2028", r"two\u000d\u000alines\u2028"),
        ("\u2066x\u2069\u200f\u061c\ufeff", r"\u2066x\u2069\u200f\u061c\ufeff"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("non\u00a0breaking", "non\u00a0breaking"),
    ],
)
def test_it_shows_what_would_hide(text, shown):
    assert harmless(text) == shown


def test_the_filter_still_escapes_html():
    template = Template("{% load harmless %}{{ label|harmless }} {{ number|harmless }}")

    assert template.render(Context({"label": "<b>\u202e", "number": 7})) == r"&lt;b&gt;\u202e 7"
