from django.contrib.auth.models import AnonymousUser, Group
from django.test import TestCase

from apikeys.actors import command_line_actor, person_actor
from apikeys.rights import ROLES, NotAllowed, Right, require, rights_of
from console.tests.factory import make_person


class RightsTests(TestCase):
    def test_each_role_opens_what_it_says(self):
        for role, rights in ROLES.items():
            self.assertEqual(rights_of(make_person(role.replace(" ", "."), role)), rights, role)

    def test_two_roles_open_what_either_opens(self):
        both = make_person("bob", "Operator", "Auditor")

        self.assertEqual(rights_of(both), ROLES["Operator"] | ROLES["Auditor"])

    def test_nobody_gets_a_right_without_an_active_person(self):
        self.assertEqual(rights_of(AnonymousUser()), frozenset())
        self.assertEqual(rights_of(make_person("alice", "Administrator", is_active=False)), frozenset())

    def test_a_group_called_administrator_opens_nothing(self):
        mallory = make_person("mallory")
        mallory.groups.add(Group.objects.create(name="Administrator"))

        self.assertEqual(rights_of(mallory), frozenset())

    def test_the_groups_of_the_roles_are_there_after_migrating(self):
        self.assertEqual(set(Group.objects.values_list("name", flat=True)), set(ROLES) - {"Administrator"})

    def test_a_refusal_names_the_actor_and_the_right_in_words(self):
        bob = person_actor(make_person("bob", "Viewer"))

        with self.assertRaisesMessage(NotAllowed, "bob may not disconnect agent sessions (agent:disconnect)."):
            require(bob, Right.AGENT_DISCONNECT)

    def test_every_right_has_words(self):
        self.assertTrue(all(right.words for right in Right))

    def test_the_command_line_may_do_everything(self):
        self.assertEqual(command_line_actor().rights, frozenset(Right))
