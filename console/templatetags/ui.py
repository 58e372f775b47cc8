"""The small helpers of pages: an icon of the sprite, and the mark of the place in the navigation where one is."""

from django import template
from django.template.context import Context
from django.templatetags.static import static
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
