"""What every template, the stylesheet and the scripts keep to; the browser's view of it is test_browser.py."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import timezone

from agents.states import State

TEMPLATES = sorted((settings.BASE_DIR / "templates").rglob("*.html"))
LOOK = settings.BASE_DIR / "console" / "static" / "console"
STYLES = (LOOK / "console.css").read_text()


def name_of(path):
    return str(path.relative_to(settings.BASE_DIR / "templates"))


@pytest.mark.parametrize("template", TEMPLATES, ids=name_of)
def test_a_template_has_nothing_inline_that_the_policy_would_stop(template):
    text = template.read_text()

    assert not re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|javascript:", text)


def test_every_icon_of_a_template_is_in_the_sprite():
    wanted = {name for path in TEMPLATES for name in re.findall(r'{% icon "([\w-]+)" %}', path.read_text())}

    assert wanted <= set(re.findall(r'<symbol id="([\w-]+)"', (LOOK / "icons.svg").read_text()))


def test_every_file_that_the_stylesheet_names_is_there():
    for name in re.findall(r'url\("([^"]+)"\)', STYLES):
        assert (LOOK / name).is_file(), name


def test_every_state_of_a_disconnection_has_a_look_of_its_own():
    for state in State:
        assert f'[data-state="{state}"]' in STYLES


def test_nothing_is_loaded_from_elsewhere():
    for path in [*TEMPLATES, *LOOK.rglob("*.js"), *LOOK.rglob("*.css")]:
        assert not re.findall(r"(?:src|href|url\(|import|fetch\()\s*=?\s*[\"'(]*https?://", Path(path).read_text()), (
            path
        )


def rendered(text, path="/", **context):
    return Template("{% load ui %}" + text).render(Context({"request": RequestFactory().get(path), **context}))


@pytest.mark.parametrize(
    ("path", "marked"),
    [("/", ""), ("/sessions/", ' aria-current="page"'), ("/sessions/7/", ' aria-current="true"'), ("/people/", "")],
)
def test_the_navigation_marks_where_one_is(path, marked):
    assert rendered('{% here "/sessions/" %}', path) == marked


def test_the_overview_is_no_section_of_every_page():
    assert rendered('{% here "/" %}', "/sessions/") == ""


def test_a_moment_of_today_is_shown_without_its_date():
    now = timezone.now()

    assert rendered("{% at moment %}", moment=now) == f'<time datetime="{now.isoformat()}">{now:%H:%M:%S}</time>'
    assert rendered("{% ago moment %}", moment=now).startswith(f'<time datetime="{now.isoformat()}" data-relative>')


def test_a_moment_is_shown_in_the_zone_of_the_person():
    moment = timezone.datetime(2020, 12, 31, 20, 0, tzinfo=timezone.get_default_timezone())

    with timezone.override("Asia/Tokyo"):
        assert "1 Jan 2021 05:00:00" in rendered("{% at moment %}", moment=moment)
        assert rendered("{{ moment|exactly }}", moment=moment) == "1 Jan 2021 05:00:00 JST"


def test_no_moment_is_shown_as_nothing():
    assert rendered("{% at moment %}{% ago moment %}{{ moment|exactly }}", moment=None) == ""
