"""Sign-in and people. Of allauth's pages only those wanted: no sign-up, no mail addresses, no reset by mail."""

from allauth.account import views as allauth
from django.urls import include, path

from console.people import link_views

account_urls = [
    path("link/<str:token>/", link_views.open_link, name="open_link"),
    path("link/", link_views.use_link, name="use_link"),
]

urlpatterns = [
    path("accounts/", include((account_urls, "account"))),
    path("accounts/login/", allauth.login, name="account_login"),
    path("accounts/logout/", allauth.logout, name="account_logout"),
    path("accounts/inactive/", allauth.account_inactive, name="account_inactive"),
    path("accounts/reauthenticate/", allauth.reauthenticate, name="account_reauthenticate"),
    path("accounts/password/change/", allauth.password_change, name="account_change_password"),
]
