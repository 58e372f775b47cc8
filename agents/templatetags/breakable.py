from django import template
from django.template.defaultfilters import stringfilter
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from audit.harmless import harmless

register = template.Library()


@register.filter(is_safe=True)
@stringfilter
def breakable(text: str) -> SafeString:
    """A host name, harmless, that a narrow column breaks after its dots instead of anywhere."""
    return mark_safe(escape(harmless(text)).replace(".", ".<wbr>"))
