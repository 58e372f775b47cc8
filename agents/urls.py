from django.urls import path

from agents.views import disconnecting, operations, sessions

app_name = "agents"
urlpatterns = [
    path("sessions/", sessions.session_list, name="sessions"),
    path("sessions/export.csv", sessions.export, name="export"),
    path("sessions/<int:pk>/", sessions.session, name="session"),
    path("sessions/<int:pk>/disconnect/", disconnecting.disconnect, name="disconnect"),
    path("operations/", operations.operation_list, name="operations"),
    path("operations/<uuid:pk>/", operations.operation, name="operation"),
    path("operations/<uuid:pk>/cancel/", operations.cancel, name="cancel"),
    path("sources/<int:pk>/", operations.operation_list, name="source"),
]
