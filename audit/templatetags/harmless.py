from django import template
from django.template.defaultfilters import stringfilter

from audit.harmless import harmless

register = template.Library()
register.filter("harmless", stringfilter(harmless))
