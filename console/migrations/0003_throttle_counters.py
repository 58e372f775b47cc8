from django.core.management import call_command
from django.db import migrations


def make_table(apps, schema_editor):
    """The table of `DatabaseCache`, made here so that `migrate` is all that an installation runs."""
    call_command("createcachetable", "console_cache", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    dependencies = [("console", "0002_one_time_links")]

    operations = [migrations.RunPython(make_table, migrations.RunPython.noop)]
