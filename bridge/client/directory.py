"""The apps of one agent: which it has, which run, and what intents they handle."""

from dataclasses import dataclass, field

from bridge.client.effects import ListenerId
from bridge.client.errors import FDC3Error
from bridge.protocol.messages import AppIdentifier, AppIntent, AppMetadata, IntentMetadata


@dataclass(frozen=True)
class Intent:
    """An intent that an app declares. Without `contexts` it takes every type."""

    name: str
    display_name: str | None = None
    contexts: tuple[str, ...] = ()
    #: A context type, `channel` or `channel<type>`.
    result_type: str | None = None

    def takes(self, context_type: str | None, result_type: str | None) -> bool:
        takes_context = context_type is None or not self.contexts or context_type in self.contexts
        return takes_context and (result_type is None or self._returns(result_type))

    def _returns(self, wanted: str) -> bool:
        """Who asks for a channel is content with one of any content."""
        own = self.result_type or ""
        return own == wanted or (wanted == "channel" and own.startswith("channel<"))


@dataclass(frozen=True)
class AppRecord:
    """An app as its directory describes it."""

    app_id: str
    title: str | None = None
    description: str | None = None
    version: str | None = None
    intents: tuple[Intent, ...] = ()


#: Others may start apps here, and start them again.
MAX_INSTANCES = 1_000


@dataclass
class Directory:
    _records: dict[str, AppRecord] = field(default_factory=dict)
    #: Running instances in the order in which they started.
    _instances: dict[str, AppIdentifier] = field(default_factory=dict)
    _intent_listeners: dict[tuple[AppIdentifier, str], ListenerId] = field(default_factory=dict)

    # --- Apps ---

    def declare(self, record: AppRecord) -> None:
        self._records[record.app_id] = record

    def record(self, app_id: str) -> AppRecord | None:
        """By its ID as given; else `name` finds `name@directory`, and the other way round (R66)."""
        if app_id in self._records:
            return self._records[app_id]
        name, at, _ = app_id.partition("@")
        return next((each for id_, each in self._records.items() if _same_app(id_, name, qualified=bool(at))), None)

    def metadata(self, app: AppIdentifier) -> AppMetadata | None:
        record = self.record(app.app_id)
        if record is None or (app.instance_id and not self.runs(app)):
            return None
        return _metadata(record, app.instance_id)

    # --- Instances ---

    @property
    def is_full(self) -> bool:
        return len(self._instances) >= MAX_INSTANCES

    def start(self, app_id: str, instance_id: str) -> AppIdentifier:
        """An app that was never declared is one that declares nothing."""
        record = self.record(app_id) or AppRecord(app_id)
        self._records.setdefault(record.app_id, record)
        app = AppIdentifier(app_id=record.app_id, instance_id=instance_id)
        self._instances[instance_id] = app
        return app

    def closed(self, app: AppIdentifier) -> None:
        self._instances.pop(app.instance_id or "", None)
        for key in [key for key in self._intent_listeners if key[0] == app]:
            del self._intent_listeners[key]

    def instance(self, instance_id: str | None) -> AppIdentifier | None:
        return self._instances.get(instance_id or "")

    def runs(self, app: AppIdentifier) -> bool:
        return self.instance(app.instance_id) is not None

    def instances(self, app_id: str) -> list[AppIdentifier] | None:
        """None where there is no such app: one that only does not run has no instances (R64)."""
        record = self.record(app_id)
        if record is None:
            return None
        return [app for app in self._instances.values() if app.app_id == record.app_id]

    # --- Intents ---

    def add_intent_listener(self, app: AppIdentifier, intent: str, listener: ListenerId) -> None:
        if (app, intent) in self._intent_listeners:
            raise FDC3Error("IntentListenerConflict", f"{app.app_id} handles {intent} already")
        self._intent_listeners[app, intent] = listener

    def remove_intent_listener(self, listener: ListenerId) -> None:
        for key in [key for key, each in self._intent_listeners.items() if each == listener]:
            del self._intent_listeners[key]

    def intent_listener(self, app: AppIdentifier, intent: str) -> ListenerId | None:
        return self._intent_listeners.get((app, intent))

    def find_intent(self, name: str, context_type: str | None, result_type: str | None) -> AppIntent | None:
        """The apps that declare it, and those of their instances, or others, that listen for it."""
        found = [
            (record, intent)
            for record in self._records.values()
            for intent in record.intents
            if intent.name == name and intent.takes(context_type, result_type)
        ]
        apps = [_metadata(record) for record, _ in found]
        ids = {record.app_id for record, _ in found}
        apps += [
            _metadata(self._records[app.app_id], app.instance_id)
            for (app, intent) in self._intent_listeners
            if intent == name and (app.app_id in ids or self._takes_undeclared(app, name))
        ]
        if not apps:
            return None
        display = next((intent.display_name for _, intent in found if intent.display_name), name)
        return AppIntent(intent=IntentMetadata(name=name, display_name=display), apps=apps)

    def find_intents_by_context(self, context_type: str, result_type: str | None) -> list[AppIntent]:
        names = dict.fromkeys(intent.name for record in self._records.values() for intent in record.intents)
        found = (self.find_intent(name, context_type, result_type) for name in names)
        return [each for each in found if each]

    def _takes_undeclared(self, app: AppIdentifier, name: str) -> bool:
        """A listener for an intent that its app did not declare: of its types nothing is known."""
        return all(intent.name != name for intent in self._records[app.app_id].intents)


def _metadata(record: AppRecord, instance_id: str | None = None) -> AppMetadata:
    return AppMetadata(
        app_id=record.app_id,
        instance_id=instance_id,
        title=record.title,
        description=record.description,
        version=record.version,
    )


def _same_app(declared: str, name: str, *, qualified: bool) -> bool:
    declared_name, at, _ = declared.partition("@")
    return declared_name == name and bool(at) != qualified
