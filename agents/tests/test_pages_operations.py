"""The list of operations, and one followed to its end."""

from datetime import timedelta
from uuid import uuid4

from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from agents.models import Disconnection
from agents.states import State
from agents.templatetags.breakable import breakable
from agents.tests.factory import make_disconnection, make_operation, make_session, make_source, now
from agents.tests.pages import LOOK, PageCase
from audit.actions import Action
from audit.actors import CONSOLE
from audit.services import record
from console.tests.factory import signed_in

LIST = "/operations/"


def tell(row, action, **data):
    with transaction.atomic():
        record(action, actor=CONSOLE, target=row.target, operation=row.operation_id, **data)


class TheList(PageCase):
    def test_it_says_that_nothing_was_asked_for(self):
        self.assertContains(self.client.get(LIST), "Nothing was asked for yet")

    def test_it_shows_the_newest_first_with_the_worst_that_came_of_each(self):
        one = make_operation(make_session(self.source, "the agent"), state=State.CONFIRMED)
        many = make_operation(requested_at=now() + timedelta(seconds=1), size=3, reason="all of them")
        for state in (State.CONFIRMED, State.STILL_CONNECTED, State.ALREADY_GONE):
            make_disconnection(make_session(self.source), many, state=state)

        response = self.client.get(LIST)

        self.assertContains(response, "Disconnect the agent")
        self.assertContains(response, "Disconnect 3 sessions")
        self.assertContains(response, "3 of 3 final")
        self.assertContains(response, f'id="operation-{many.pk}-state" data-state="still_connected"')
        self.assertLess(response.text.index(str(many.pk)), response.text.index(str(one.pk)))

    def test_one_of_many_is_in_motion_until_the_last_is_final(self):
        many = make_operation(size=2)
        make_disconnection(make_session(self.source), many, state=State.UNKNOWN)
        for state, shown in ((State.QUEUED, "sending"), (State.SENDING, "sending"), (State.ACCEPTED, "accepted")):
            row = make_disconnection(make_session(self.source), many, state=state)
            self.assertContains(self.client.get(LIST), f'-state" data-state="{shown}"')
            row.delete()

    def test_its_filters(self):
        other = make_source("Osaka")
        alpha = make_operation(make_session(self.source, "alpha"), state=State.CONFIRMED, reason="certificate")
        beta = make_operation(make_session(other, "beta"), state=State.QUEUED, actor_label="bob")
        for query, expected in (
            ({"q": "CERT"}, {alpha}),
            ({"q": "beta"}, {beta}),
            ({"q": alpha.disconnections.get().session_id_then}, {alpha}),
            ({"state": "open"}, {beta}),
            ({"state": "confirmed"}, {alpha}),
            ({"source": other.pk}, {beta}),
            ({"by": "bob"}, {beta}),
            ({}, {alpha, beta}),
        ):
            response = self.client.get(LIST, query)
            found = {each for each in (alpha, beta) if f'id="operation-{each.pk}"' in response.text}
            self.assertEqual(found, expected, query)
        self.assertContains(self.client.get(LIST, {"q": "no such"}), "No operation matches")

    def test_what_can_not_be_used_is_said(self):
        make_operation(make_session(self.source))
        for query, words in (
            ({"state": "zzz"}, "state “zzz”"),
            ({"source": "x"}, "There is no source x here."),
            ({"page": "-1"}, "Pages count from 1."),
            ({"size": "0"}, "A page has 50, 100, 200 rows"),
        ):
            self.assertContains(self.client.get(LIST, query), words)

    def test_its_number_of_queries_does_not_grow(self):
        def queries():
            with CaptureQueriesContext(connection) as captured:
                response = self.client.get(LIST)
            return len(captured), response.text.count('<tr id="operation-')

        for _ in range(3):
            make_operation(make_session(self.source))
        few, rows = queries()
        for _ in range(27):
            make_operation(make_session(self.source), make_session(self.source))
        self.assertEqual((rows, *queries()), (3, few, 30))


class OneSession(PageCase):
    def setUp(self):
        super().setUp()
        self.session = make_session(self.source, "the agent")
        self.row = make_disconnection(self.session)
        self.url = self.row.operation.get_absolute_url()

    def become(self, state, **columns):
        final = {"finished_at": now()} if state not in ("queued", "sending", "accepted") else {}
        Disconnection.objects.filter(pk=self.row.pk).update(state=state, **final, **columns)

    def test_it_tells_each_state_in_a_sentence(self):
        for state, columns, words in (
            ("queued", {}, "Waiting to be sent."),
            ("sending", {}, "on its way to the remote"),
            ("sending", {"answer": "lost", "explanation": "No answer: cut."}, "No answer: cut. The next reading"),
            ("sending", {"answer": "no", "explanation": "Status 400"}, "Status 400. The next reading"),
            ("accepted", {"answer": ""}, "Accepted is not yet gone"),
            ("confirmed", {"explanation": "Read."}, "The session is gone, and that is proved. Read."),
            ("already_gone", {"explanation": "It ended."}, "It ended. Nothing was sent."),
            ("already_gone", {"explanation": "It ended.", "posts": 1}, "It ended.</p>"),
            ("still_connected", {"explanation": "Listed."}, "Listed. Look at the agent itself"),
            ("refused", {"explanation": "Too old.", "posts": 0}, "Too old. Nothing was sent."),
            ("failed", {"explanation": "Three attempts."}, "Three attempts. If the session is still listed"),
            ("unknown", {"explanation": "Nobody knows."}, "Nobody knows. Look for the session once"),
            ("cancelled", {"explanation": "Cancelled by bob."}, "Cancelled by bob.</p>"),
        ):
            self.become(state, **columns)
            self.assertContains(self.client.get(self.url), words)

    def test_words_of_the_remote_in_that_sentence_are_harmless(self):
        self.become("refused", explanation="The remote refused: <script>x\u202e", posts=1)

        response = self.client.get(self.url)

        self.assertContains(response, "The remote refused: &lt;script&gt;x\\u202e</p>")
        self.assertNotContains(response, "<script>x")

    def test_it_tells_every_step_with_what_the_remote_said(self):
        tell(self.row, Action.DISCONNECTION_SENT, attempt=1)
        tell(self.row, Action.DISCONNECTION_REQUEUED, attempt=1, why="connection refused")
        tell(self.row, Action.DISCONNECTION_SENT, attempt=2)
        tell(self.row, Action.DISCONNECTION_ANSWER_LOST, attempt=2, why="status 500", status=500)
        tell(self.row, Action.DISCONNECTION_SENT, attempt=3)
        tell(self.row, Action.DISCONNECTION_ANSWERED_NO, attempt=3, status=400, code="E1", message="<no>\u202e")
        tell(self.row, Action.DISCONNECTION_ACCEPTED, explanation="Taken.", status=200)
        tell(self.row, Action.DISCONNECTION_CONFIRMED, explanation="No longer listed.")
        tell(self.row, Action.DISCONNECTION_CAME_BACK, session_id="new-one", agent_session=7)
        tell(self.row, Action.DISCONNECTION_LATE_ANSWER, attempt=2)
        tell(self.row, Action.SOURCE_TESTED)

        response = self.client.get(self.url)

        for words in (
            "Attempt 1 begun",
            "Attempt 1 did not arrive",
            "Connection refused. Nothing was done, so it is tried again.",
            "No usable answer to attempt 2",
            "status 500",
            "status 400 E1 &lt;no&gt;\\u202e",
            "Accepted by the remote",
            "status 200",
            "No longer listed. That was 0.",
            "new-one",
            "An answer came too late",
            "Source tested",
        ):
            self.assertContains(response, words)
        steps = [response.text.index(words) for words in ("Attempt 1 begun", "Attempt 2 begun", "The agent came back")]
        self.assertEqual(steps, sorted(steps))

    def test_every_action_of_a_disconnection_has_its_own_words_or_the_logs(self):
        for action in Action:
            if action.startswith(("disconnection.", "operation.")):
                tell(self.row, action)

        self.assertEqual(self.client.get(self.url).status_code, 200)

    def test_it_tells_what_was_seen_afterwards(self):
        newer = make_session(self.source, "the agent")
        self.become("still_connected", seen_gone_at=now(), came_back_as=newer, came_back_at=now())

        response = self.client.get(self.url)

        self.assertContains(response, "Seen gone at")
        self.assertContains(response, f'with a new session. <a href="{newer.get_absolute_url()}"')

    def test_it_names_the_session_as_it_was_then(self):
        type(self.session).objects.update(endpoint="elsewhere.example")

        response = self.client.get(self.url)

        self.assertContains(response, breakable(self.row.endpoint_then))
        self.assertNotContains(response, "elsewhere")

    def test_address_and_audit_story_are_for_those_who_may_read_the_log(self):
        with transaction.atomic():
            operation = self.row.operation
            record(Action.OPERATION_REQUESTED, actor=CONSOLE, target=operation.target, operation=operation.pk)

        self.assertNotContains(self.client.get(self.url), "/audit/?q=operation")
        self.assertContains(signed_in(self.auditor).get(self.url), f"/audit/?q=operation%3A{self.row.operation_id}")

    def test_one_that_never_was_is_not_found(self):
        operator = signed_in(self.operator)
        for url in (f"/operations/{uuid4()}/", "/operations/garbage/"):
            self.assertEqual(operator.get(url).status_code, 404)
        self.assertEqual(operator.post(f"/operations/{uuid4()}/cancel/").status_code, 404)


class ManySessions(PageCase):
    def setUp(self):
        super().setUp()
        self.operation = make_operation(size=60)
        states = [State.CONFIRMED, State.FAILED, State.SENDING]
        self.rows = [
            make_disconnection(
                make_session(self.source, f"agent-{number:02}"),
                self.operation,
                state=states[number % 3],
                requested_at=now() + timedelta(seconds=number),
            )
            for number in range(60)
        ]
        self.url = self.operation.get_absolute_url()

    def test_it_shows_how_far_they_are_page_by_page(self):
        response = self.client.get(self.url)

        self.assertContains(response, "40 of 60 have come to their end so far; 20 are proved gone.")
        self.assertContains(response, 'aria-label="Disconnections by outcome: 20 sending, 20 confirmed, 20 failed"')
        self.assertContains(response, '<tr id="disconnection-', count=50)
        self.assertContains(self.client.get(self.url, {"page": 2}), '<tr id="disconnection-', count=10)
        self.assertContains(self.client.get(self.url, {"state": "failed"}), '<tr id="disconnection-', count=20)

    def test_each_has_its_own_story(self):
        first, second = self.rows[:2]
        tell(first, Action.DISCONNECTION_CONFIRMED, explanation="The first is gone.")
        tell(second, Action.DISCONNECTION_FAILED, explanation="The second is not.")

        response = self.client.get(self.url, {"disconnection": str(first.pk)})

        self.assertContains(response, "The first is gone.")
        self.assertNotContains(response, "The second is not.")
        self.assertContains(response, 'data-state="confirmed"')

    def test_one_of_another_operation_is_not_found(self):
        other = make_disconnection(make_session(self.source))

        self.assertEqual(self.client.get(self.url, {"disconnection": str(other.pk)}).status_code, 404)

    def test_what_can_not_be_used_in_the_address_is_said(self):
        for query in ({"disconnection": "garbage"}, {"state": "zzz"}, {"page": "zzz"}):
            self.assertContains(self.client.get(self.url, query), "These filters can’t be used.")
            self.assertContains(self.client.get(self.url, query, headers=LOOK), "These filters can’t be used.")

    def test_its_number_of_queries_does_not_grow(self):
        def queries(url):
            with CaptureQueriesContext(connection) as captured:
                self.client.get(url)
            return len(captured)

        few = make_operation(make_session(self.source), make_session(self.source))
        self.assertEqual(queries(few.get_absolute_url()), queries(self.url))
