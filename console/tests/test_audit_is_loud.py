"""An audit log that does not hold is told on the overview, to alarms, and on the page of the parts."""

import pytest
from django.db import connection

from audit import triggers
from audit.actors import CONSOLE
from audit.checks import check_all
from audit.tests.make import commit_events
from console import attention
from console.tests.factory import make_person, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def changed():
    commit_events(9)
    triggers.remove()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_event SET actor_label = 'mallory' WHERE sequence = 4")
    triggers.install()


def test_an_unsound_chain_is_loud(changed, client):
    check_all(actor=CONSOLE)

    assert "The audit log does not hold." in [item.title for item in attention.of_the_console()]
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["wrong"]["audit"] == "The audit log does not hold."
    assert "Event 4 was changed" in signed_in(make_person("vera", "Viewer")).get("/health/").content.decode()
