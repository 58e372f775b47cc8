"""Asking for a disconnection on the page, or in its dialog."""

from datetime import timedelta
from uuid import uuid4

from django.test import Client

from agents.models import Disconnection, Operation, Source
from agents.states import State
from agents.templatetags.breakable import breakable
from agents.tests.factory import make_operation, make_session, now
from agents.tests.pages import PageCase
from audit.actions import Action
from audit.models import Event
from console.tests.factory import make_person, signed_in

DIALOG = {"HX-Request": "true", "HX-Target": "dialog"}


class AskingForADisconnection(PageCase):
    def setUp(self):
        self.client = signed_in(self.operator)
        self.session = make_session(self.source, "the agent")
        self.url = f"/sessions/{self.session.pk}/disconnect/"

    def order(self, client=None, **form):
        return (client or self.client).post(self.url, {"reason": "upkeep", "token": str(uuid4()), **form})

    def test_it_names_what_it_will_do(self):
        response = self.client.get(self.url)

        for words in (
            "the agent",
            self.session.session_id,
            breakable(self.session.endpoint),
            "Tokyo",
            "ends abnormally",
        ):
            self.assertContains(response, words)
        self.assertContains(response, "<!doctype html>")

    def test_the_dialog_is_that_part_alone(self):
        response = self.client.get(self.url, headers=DIALOG)

        self.assertContains(response, 'id="dialog-title"')
        self.assertNotContains(response, "<!doctype html>")
        self.assertIn("HX-Target", response["Vary"])

    def test_it_says_that_a_stale_list_is_read_first(self):
        self.assertNotContains(self.client.get(self.url), "reads it again first")
        Source.objects.update(read_at=now() - timedelta(hours=1))
        self.assertContains(self.client.get(self.url), "reads it again first")

    def test_it_is_ordered_with_its_reason_and_leads_to_the_operation(self):
        response = self.order(reason="  an old certificate\n")

        operation = Operation.objects.get()
        self.assertRedirects(response, operation.get_absolute_url())
        self.assertEqual((operation.reason, operation.requested_by), ("an old certificate", self.operator))
        self.assertEqual(operation.disconnections.get().state, State.QUEUED)
        self.assertEqual(Event.objects.filter(action=Action.OPERATION_REQUESTED).get().actor_label, "otto")

    def test_one_form_sent_twice_is_one_operation(self):
        token = str(uuid4())

        first, second = self.order(token=token), self.order(token=token)

        self.assertEqual(first["Location"], second["Location"])
        self.assertEqual(Disconnection.objects.count(), 1)

    def test_the_second_administrator_is_led_to_what_is_under_way(self):
        first = self.order()

        second = self.order(signed_in(make_person("olga", "Operator")))

        self.assertEqual(first["Location"], second["Location"])
        self.assertEqual(Disconnection.objects.count(), 1)
        self.assertTrue(Event.objects.filter(action=Action.DISCONNECTION_ALREADY_OPEN, actor_label="olga").exists())

    def test_the_second_administrator_is_told_whose_it_is(self):
        self.order()
        olga = signed_in(make_person("olga", "Operator"))

        self.assertContains(olga.get(self.url), "already being disconnected by otto")
        location = self.order(olga)["Location"]
        self.assertContains(olga.get(location), "the agent is already being disconnected by otto.")

    def test_a_reason_is_kept_where_it_can_not_be_used(self):
        for reason, message in (("", "Give a reason"), (" \n ", "Give a reason"), ("x" * 501, "501 characters")):
            response = self.order(reason=reason)

            self.assertContains(response, message, status_code=422)
            self.assertContains(response, f">{reason}</textarea>", status_code=422)
        self.assertFalse(Operation.objects.exists())

    def test_a_reason_of_500_letters_in_any_script_is_taken(self):
        self.assertEqual(self.order(reason="証" * 500).status_code, 302)

    def test_a_form_without_its_token_is_not_carried_out(self):
        for token in ("", "garbage"):
            response = self.order(token=token)

            self.assertContains(response, "send it once more", status_code=422)
            self.assertContains(response, ">upkeep</textarea>", status_code=422)
            self.assertRegex(response.text, r'name="token" value="[0-9a-f-]{36}"')
        self.assertFalse(Operation.objects.exists())

    def test_what_is_not_offered_any_more_is_said_and_nothing_lost(self):
        changes = {
            "This session has ended.": {"ended_at": now(), "ended_by": "itself"},
            "below version 1.2.0": {"version": "1.0.0", "version_number": 10_000_000_000},
        }
        for words, columns in changes.items():
            type(self.session).objects.update(**columns)

            self.assertContains(self.client.get(self.url), words)
            response = self.order(reason="my long reason")
            self.assertContains(response, words, status_code=422)
            type(self.session).objects.update(ended_at=None, ended_by="")
        self.assertFalse(Operation.objects.exists())

    def test_a_paused_source_refuses(self):
        Source.objects.update(paused_at=now())

        self.assertContains(self.order(), "The source Tokyo is paused.", status_code=422)

    def test_it_is_not_for_viewers_nor_strangers(self):
        for client, status in ((signed_in(self.viewer), 403), (Client(), 302)):
            self.assertEqual(client.get(self.url).status_code, status)
            self.assertEqual(self.order(client).status_code, status)
        self.assertFalse(Operation.objects.exists())

    def test_hostile_text_is_shown_harmlessly(self):
        session = make_session(self.source, "<script>x</script>\u202e", session_id="<b>\u2066")

        response = self.client.get(f"/sessions/{session.pk}/disconnect/", headers=DIALOG)

        self.assertNotContains(response, "<script>x")
        self.assertNotContains(response, "\u202e")
        self.assertContains(response, "\\u202e")

    def test_only_get_and_post(self):
        self.assertEqual(self.client.put(self.url).status_code, 405)


class Cancelling(PageCase):
    def test_what_is_queued_is_taken_back(self):
        operation = make_operation(make_session(self.source), make_session(self.source))
        sent = operation.disconnections.first()
        Disconnection.objects.filter(pk=sent.pk).update(state=State.SENDING)
        client = signed_in(self.operator)

        self.assertContains(client.get(operation.get_absolute_url()), "Cancel what is queued")
        response = client.post(f"/operations/{operation.pk}/cancel/", follow=True)

        self.assertContains(response, "1 cancelled.")
        states = sorted(operation.disconnections.values_list("state", flat=True))
        self.assertEqual(states, [State.CANCELLED, State.SENDING])
        self.assertNotContains(response, "Cancel what is queued")
        again = client.post(f"/operations/{operation.pk}/cancel/", follow=True)
        self.assertContains(again, "nothing left to cancel")

    def test_it_is_not_for_viewers_and_not_by_get(self):
        operation = make_operation(make_session(self.source))

        self.assertNotContains(self.client.get(operation.get_absolute_url()), "/cancel/")
        self.assertEqual(self.client.post(f"/operations/{operation.pk}/cancel/").status_code, 403)
        self.assertEqual(signed_in(self.operator).get(f"/operations/{operation.pk}/cancel/").status_code, 405)
        self.assertEqual(operation.disconnections.get().state, State.QUEUED)
