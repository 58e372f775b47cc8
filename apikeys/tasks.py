from celery import shared_task
from django.utils import timezone

from apikeys import expiry, use


@shared_task(name="apikeys.look_after_keys", time_limit=600)
def look_after_keys() -> None:
    at = timezone.now()
    expiry.warn(at)
    use.forget_old(at.date())
