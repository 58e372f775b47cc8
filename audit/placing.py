"""What a service refuses, put beside the field of the form that it is about."""

from django.core.exceptions import ValidationError
from django.forms import BaseForm


def place(error: ValidationError, form: BaseForm) -> None:
    by_field = error.error_dict if hasattr(error, "error_dict") else {None: error.error_list}
    for name, errors in by_field.items():
        form.add_error(name if name in form.fields else None, errors)
