"""People as the targets of events."""

from audit.services import Target
from console.models import User

FIRST_ADMINISTRATOR = Target("person", "", "the first Administrator")


def person_target(person: User) -> Target:
    return Target("person", str(person.pk), person.username)
