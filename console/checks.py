"""System checks: a wrong setting stops the start with a sentence that says how to mend it."""

from typing import Any

from django.core import checks

from console.environment import PROBLEMS


@checks.register
def environment_is_usable(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    return [checks.Error(problem.message, hint=problem.hint, id="console.E001") for problem in PROBLEMS]
