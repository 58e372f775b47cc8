from django.urls import path

from agents.views import disconnecting, operations, sessions, sources

app_name = "agents"
urlpatterns = [
    path("sessions/", sessions.session_list, name="sessions"),
    path("sessions/export.csv", sessions.export, name="export"),
    path("sessions/<int:pk>/", sessions.session, name="session"),
    path("sessions/<int:pk>/disconnect/", disconnecting.disconnect, name="disconnect"),
    path("operations/", operations.operation_list, name="operations"),
    path("operations/<uuid:pk>/", operations.operation, name="operation"),
    path("operations/<uuid:pk>/cancel/", operations.cancel, name="cancel"),
    path("sources/", sources.source_list, name="sources"),
    path("sources/add/", sources.add, name="add_source"),
    path("sources/<int:pk>/", sources.source, name="source"),
    path("sources/<int:pk>/edit/", sources.edit, name="edit_source"),
    path("sources/<int:pk>/test/", sources.test, name="test_source"),
    path("sources/<int:pk>/pause/", sources.pause, name="pause_source"),
    path("sources/<int:pk>/resume/", sources.resume, name="resume_source"),
]
