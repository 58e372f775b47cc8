from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A person who signs in. Roles are Django groups (`apikeys.rights.ROLES`); a superuser is an Administrator."""

    time_zone = models.CharField(max_length=64, default="UTC")
