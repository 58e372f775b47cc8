"""The small helpers of pages: icons, the mark of the place in the navigation where one is, and times."""

from datetime import datetime

from django import template
from django.template.context import Context
from django.templatetags.static import static
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.simple_tag
def icon(name: str) -> SafeString:
    """A symbol of `icons.svg`; it only decorates, so the words beside it must be enough."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static("console/icons.svg"),
        name,
    )


@register.simple_tag(takes_context=True)
def here(context: Context, section: str) -> SafeString:
    """`aria-current` for a link to a section: "page" on the section's own page, "true" on the pages below it."""
    path = context["request"].path if "request" in context else ""
    if path == section:
        return mark_safe(' aria-current="page"')
    if section != "/" and path.startswith(section):
        return mark_safe(' aria-current="true"')
    return mark_safe("")


def _time(moment: datetime | None, attributes: str) -> SafeString:
    if moment is None:
        return mark_safe("")
    local, now = timezone.localtime(moment), timezone.localtime()
    if local.date() == now.date():
        words = formats.date_format(local, "H:i:s")
    else:
        words = formats.date_format(local, "j M H:i:s" if local.year == now.year else "j M Y H:i:s")
    return format_html('<time datetime="{}"{}>{}</time>', moment.isoformat(), mark_safe(attributes), words)


@register.simple_tag
def at(moment: datetime | None) -> SafeString:
    """A moment in the zone of the person: the time alone when it is today."""
    return _time(moment, "")


@register.simple_tag
def ago(moment: datetime | None) -> SafeString:
    """The same, which times.js turns into "4 s ago" and keeps right."""
    return _time(moment, " data-relative")


@register.filter
def exactly(moment: datetime | None) -> str:
    """A moment in full, with the zone, for what must be unmistakable."""
    return formats.date_format(timezone.localtime(moment), "j M Y H:i:s T") if moment else ""
