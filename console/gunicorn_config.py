"""How gunicorn serves the console: `gunicorn -c console/gunicorn_config.py console.wsgi` (docs/operating.md)."""

from typing import Any

from console import settings

bind = f"127.0.0.1:{settings.CONSOLE_PORT}"
worker_class = "gthread"
workers = settings.CONSOLE_WEB_WORKERS
threads = settings.CONSOLE_WEB_THREADS
# Loaded once and then forked: half the start-up time and less memory.
preload_app = True
timeout = 60
graceful_timeout = int(settings.CONSOLE_STOP_WITHIN.total_seconds())
keepalive = 15
control_socket_disable = True
loglevel = "warning"
logconfig_dict = settings.LOGGING


def when_ready(server: Any) -> None:
    from console.presence import note_start

    note_start("web")


def on_exit(server: Any) -> None:
    from console.presence import note_stop

    note_stop("web")
