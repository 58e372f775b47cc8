from celery import shared_task
from django.utils import timezone

from apikeys import expiry


@shared_task(name="apikeys.warn_of_expiry", time_limit=600)
def warn_of_expiry() -> None:
    expiry.warn(timezone.now())
