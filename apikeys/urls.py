from django.urls import path

from apikeys import views

app_name = "apikeys"
urlpatterns = [
    path("", views.key_list, name="list"),
    path("add/", views.add, name="add"),
    path("<int:pk>/", views.key, name="key"),
    path("<int:pk>/edit/", views.edit, name="edit"),
    path("<int:pk>/rotate/", views.rotate, name="rotate"),
    path("<int:pk>/end-overlap/", views.end_overlap, name="end_overlap"),
    path("<int:pk>/pause/", views.pause, name="pause"),
    path("<int:pk>/resume/", views.resume, name="resume"),
    path("<int:pk>/revoke/", views.revoke, name="revoke"),
]
