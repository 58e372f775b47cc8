"""How often each key comes, by day and endpoint: counted in this process, written at most once a minute.

A request costs no more than an addition. What a process counted since it last wrote is lost where it is killed: these
are figures for a chart, not evidence.
"""

import atexit
import logging
import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import F

from apikeys.models import ApiKeyUse

logger = logging.getLogger(__name__)

#: How long the figures of a day are kept.
KEPT = timedelta(days=400)

type _Place = tuple[int, date, str]
_lock = threading.Lock()
_requests: Counter[_Place] = Counter()
_refused: Counter[_Place] = Counter()
_timers: list[threading.Timer] = []


def count(key_pk: int, endpoint: str) -> None:
    _add(_requests, key_pk, endpoint)


def count_refused(key_pk: int, endpoint: str) -> None:
    """One of the requests that `count` has counted already."""
    _add(_refused, key_pk, endpoint)


def _add(counter: Counter[_Place], key_pk: int, endpoint: str) -> None:
    place = (key_pk, datetime.now(UTC).date(), endpoint)
    with _lock:
        counter[place] += 1
        if not _timers:
            timer = threading.Timer(settings.CONSOLE_API_KEY_USE.total_seconds(), _write_in_thread)
            timer.daemon = True
            _timers.append(timer)
            timer.start()


def write() -> None:
    """Add what was counted to the database."""
    with _lock:
        requests, refused = _requests.copy(), _refused.copy()
        _requests.clear()
        _refused.clear()
        _timers.clear()
    for place in requests.keys() | refused.keys():
        _write_one(place, requests[place], refused[place])


def forget_old(today: date) -> None:
    """Figures that no page shows any more."""
    ApiKeyUse.objects.filter(day__lt=today - KEPT).delete()


def _write_one(place: _Place, requests: int, refused: int) -> None:
    key_pk, day, endpoint = place
    row = ApiKeyUse.objects.filter(key=key_pk, day=day, endpoint=endpoint)
    more = {"requests": F("requests") + requests, "refused": F("refused") + refused}
    if row.update(**more):
        return
    try:
        with transaction.atomic():
            ApiKeyUse.objects.create(key_id=key_pk, day=day, endpoint=endpoint, requests=requests, refused=refused)
    except IntegrityError:
        row.update(**more)  # Another process was quicker to make the row.


def _write_in_thread() -> None:
    try:
        write()
    except DatabaseError as error:
        logger.warning("The use of API keys could not be written: %s", error)
    finally:
        connection.close()


@atexit.register
def _write_at_exit() -> None:
    if _timers:
        _write_in_thread()
