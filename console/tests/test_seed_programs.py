"""The two programs of the manual, as printed, with nothing changed but host, key and session."""

import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import patch

import pytest
import rest_framework

from agents.models import Disconnection
from agents.tests.make import make_row, make_session, make_source
from apikeys.tests.factory import make_key
from audit.models import Event
from console.tests.live_server import serving
from console.tests.test_browser import CHROMIUM, chromium  # noqa: F401 - a fixture

JAVA = """
public static void main(String[] args) {
    String host = "https://www.webconnect.hulft.com";
    String apiKey = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    try {
        URL url = new URL(host + "/api/v2/agent/disconnection");
        HttpURLConnection connection = (HttpURLConnection) url.openConnection();
        String postData = "{\\"sessionId\\":\\"xxxxxxxxxxxxxxxx\\", \\"endpoint\\":\\"california-service1.webconnect.hulft.com\\"}";
        connection.setRequestMethod("POST");
        connection.setDoOutput(true);
        connection.setRequestProperty("Authorization", "Bearer " + apiKey);
        connection.setRequestProperty("Content-Type", "application/json");
        connection.setRequestProperty("Content-Length", Integer.toString(postData.length()));
        try (BufferedWriter writer = new BufferedWriter(new OutputStreamWriter(connection.getOutputStream()))) {
            writer.write(postData);
        }
        System.out.println(connection.getResponseMessage()); // The response does not contain the response body.
    } catch (IOException ex) {
        // error
    }
}
"""  # noqa: E501 - as it is printed
JQUERY = """
// load jquery
var host = 'https://www.webconnect.hulft.com';
var apiKey = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx';
$.ajax({
    type: 'POST',
    url: host + '/api/v2/agent/disconnection',
    headers: { Authorization: 'Bearer ' + apiKey },
    contentType: 'application/json',
    data: JSON.stringify({sessionId: 'xxxxxxxxxxxxxxxx', endpoint: 'california-service1.webconnect.hulft.com'})
}).done(function(data, status, xhr) { console.log(data); }).fail(function(data, status, xhr) { console.log(data); });
"""
ENDPOINT = "california-service1.webconnect.hulft.com"


@pytest.fixture
def console(committed_db):
    with serving() as url, patch("agents.services.nudge"):
        yield url


@pytest.fixture
def session(console):

    return make_session(make_source("Tokyo"), "dfBqpCYBFcQZ", row=make_row("dfBqpCYBFcQZ", endpoint=ENDPOINT))


def with_ours(program: str, *, host: str, key: str, session: str) -> str:
    program = program.replace("https://www.webconnect.hulft.com", host)
    return program.replace("x" * 32, key).replace("x" * 16, session)


def asked_for() -> tuple[str, str, str]:
    row = Disconnection.objects.select_related("operation").get()
    return row.session_id_then, row.operation.actor_kind, row.operation.actor_label


def refused() -> list[tuple[str, str]]:
    events = Event.objects.filter(action="apikey.not_allowed").order_by("sequence")
    return list(events.values_list("actor_label", "actor_kind"))


# --- Java --------------------------------------------------------------------------------------------------------


def run_java(folder: Path, program: str) -> str:
    source = folder / "Disconnect.java"
    source.write_text(f"import java.io.*;\nimport java.net.*;\npublic class Disconnect {{\n{program}\n}}\n")
    # -XX: a virtual machine of few threads starts quicker beside other tests.
    subprocess.run(["javac", "-J-XX:+UseSerialGC", "-nowarn", str(source)], check=True, timeout=120)
    java = ["java", "-XX:+UseSerialGC", "-cp", str(folder), "Disconnect"]
    return subprocess.run(java, check=True, timeout=60, capture_output=True, text=True).stdout


needs_java = pytest.mark.skipif(
    not shutil.which("javac"), reason="No JDK on this machine: the manual's Java program is not run."
)


@needs_java
def test_the_java_program_disconnects(console, session, tmp_path):
    _, text = make_key("java program", "agent:get", "agent:disconnect")

    said = run_java(tmp_path, with_ours(JAVA, host=console, key=text, session=session.session_id))

    assert said == "OK\n"
    assert asked_for() == ("dfBqpCYBFcQZ", "API key", "java program")


@needs_java
def test_the_java_program_without_the_scope_is_told_and_on_record(console, session, tmp_path):
    _, text = make_key("java reader", "agent:get")

    said = run_java(tmp_path, with_ours(JAVA, host=console, key=text, session=session.session_id))

    assert said == "Forbidden\n"
    assert not Disconnection.objects.exists()
    assert refused() == [("java reader", "API key")]


# --- jQuery ------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere():
    """Another origin, with a page that loads the jQuery that the REST framework brings along."""
    [jquery] = (Path(rest_framework.__file__).parent / "static/rest_framework/js").glob("jquery-*.min.js")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802 - the name that the server looks for
            page = b"<!doctype html><title>Tools</title><script src=/jquery.js></script>"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(jquery.read_bytes() if self.path == "/jquery.js" else page)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="No Chromium on this machine: jQuery's call is not made.")


def run_jquery(browser, page_url: str, program: str) -> dict:
    page = browser.new_page()
    page.goto(page_url)
    with page.expect_event("requestfinished", lambda request: request.method == "POST", timeout=10_000) as finished:
        page.add_script_tag(content=program)
    response = finished.value.response()
    answer = {"status": response.status, "text": response.text(), "headers": response.headers}
    page.close()
    return answer


@needs_chromium
def test_the_jquery_call_disconnects_from_an_origin_that_is_allowed(console, session, elsewhere, chromium, settings):  # noqa: F811
    settings.CONSOLE_API_ORIGINS = [elsewhere]
    _, text = make_key("jquery", "agent:get", "agent:disconnect")

    answer = run_jquery(chromium, elsewhere, with_ours(JQUERY, host=console, key=text, session=session.session_id))

    assert (answer["status"], answer["text"]) == (200, "")
    assert asked_for() == ("dfBqpCYBFcQZ", "API key", "jquery")


@needs_chromium
def test_the_jquery_call_without_the_scope_can_read_why(console, session, elsewhere, chromium, settings):  # noqa: F811
    settings.CONSOLE_API_ORIGINS = [elsewhere]
    _, text = make_key("jquery reader", "agent:get")

    answer = run_jquery(chromium, elsewhere, with_ours(JQUERY, host=console, key=text, session=session.session_id))

    assert answer["status"] == 403 and "lacks the scope agent:disconnect" in answer["text"]
    assert refused() == [("jquery reader", "API key")]


@needs_chromium
def test_from_any_other_origin_the_browser_makes_no_call(console, session, elsewhere, chromium):  # noqa: F811
    _, text = make_key("jquery", "agent:get", "agent:disconnect")
    page = chromium.new_page()
    page.goto(elsewhere)
    with page.expect_console_message(lambda message: "CORS" in message.text, timeout=10_000):
        page.add_script_tag(content=with_ours(JQUERY, host=console, key=text, session=session.session_id))
    page.close()

    assert not Disconnection.objects.exists()
