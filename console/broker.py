"""Whether Redis answers. It is only a wake-up, so nobody waits long for it."""

from urllib.parse import urlsplit

import redis
from django.conf import settings


def trouble() -> str | None:
    """What keeps Redis from answering; None where it answers."""
    client = redis.Redis.from_url(
        _url_for_redis_py(settings.CELERY_BROKER_URL), socket_timeout=1, socket_connect_timeout=1
    )
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        return str(error) or type(error).__name__
    finally:
        client.close()
    return None


def place() -> str:
    """Where Redis is, without the password."""
    parts = urlsplit(settings.CELERY_BROKER_URL)
    return parts.path if parts.scheme == "redis+socket" else f"{parts.hostname}:{parts.port or 6379}"


def _url_for_redis_py(broker_url: str) -> str:
    return broker_url.replace("redis+socket://", "unix://", 1).replace("virtual_host=", "db=", 1)
