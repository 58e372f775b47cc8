"""What the tests of pages share: who is there, and what a page lists."""

import re

from django.test import TestCase

from agents.tests.factory import make_source
from console.tests.factory import make_person, signed_in

SESSIONS = "/sessions/"
#: The headers by which live.js looks at a page.
LOOK = {"HX-Request": "true", "HX-Target": "live"}


def listed(response):
    """The sessions on the page, in its order, by primary key."""
    assert response.status_code == 200
    return [int(pk) for pk in re.findall(r'<tr id="session-(\d+)"', response.text)]


class PageCase(TestCase):
    """A viewer is signed in; there is one source, Tokyo."""

    @classmethod
    def setUpTestData(cls):
        cls.viewer = make_person("vera", "Viewer")
        cls.operator = make_person("otto", "Operator")
        cls.auditor = make_person("audrey", "Auditor")
        cls.administrator = make_person("ada", "Administrator")
        cls.source = make_source("Tokyo")

    def setUp(self):
        self.client = signed_in(self.viewer)
