from django.urls import path

from bridge import views

app_name = "bridge"
urlpatterns = [
    path("", views.bridge_list, name="list"),
    path("channels/<int:pk>/<slug:key>/", views.channel, name="channel"),
]
