"""Sign-in and people. Of allauth's pages only those wanted: no sign-up, no mail addresses, no reset by mail."""

from allauth.account import views as allauth
from django.urls import include, path

from apikeys.pages import require_sign_in
from console.people import link_views, views

people_urls = [
    path("", views.people_list, name="list"),
    path("add/", views.add, name="add"),
    path("<int:pk>/", views.person, name="person"),
    path("<int:pk>/roles/", views.change_roles, name="change_roles"),
    path("<int:pk>/deactivate/", views.deactivate, name="deactivate"),
    path("<int:pk>/activate/", views.activate, name="activate"),
    path("<int:pk>/link/", views.make_link, name="make_link"),
    path("<int:pk>/end-sign-ins/", views.end_sign_ins, name="end_sign_ins"),
]
account_urls = [
    path("", views.mine, name="mine"),
    path("sign-out-elsewhere/", views.sign_out_elsewhere, name="sign_out_elsewhere"),
    path("link/<str:token>/", link_views.open_link, name="open_link"),
    path("link/", link_views.use_link, name="use_link"),
]

urlpatterns = [
    path("people/", include((people_urls, "people"))),
    path("accounts/", include((account_urls, "account"))),
    path("accounts/login/", allauth.login, name="account_login"),
    path("accounts/logout/", allauth.logout, name="account_logout"),
    path("accounts/inactive/", allauth.account_inactive, name="account_inactive"),
    path("accounts/reauthenticate/", require_sign_in(allauth.reauthenticate), name="account_reauthenticate"),
    path("accounts/password/change/", allauth.password_change, name="account_change_password"),
]
