from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A person who signs in. Roles are Django groups (`apikeys.rights.ROLES`); a superuser is an Administrator."""

    time_zone = models.CharField(max_length=64, default="UTC")


class Heartbeat(models.Model):
    """When a part that works in the background was last seen at work (`console.heartbeats`)."""

    name = models.CharField(max_length=255, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
