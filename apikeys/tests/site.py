"""Views to try keys on."""

from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.throttling import rate_headers


class Thing(APIView):
    scopes = {"GET": "agent:get", "POST": "agent:disconnect"}

    def get(self, request, name="", **kwargs):
        return Response({"actor": request.actor.label}, headers=rate_headers(request))

    def post(self, request, **kwargs):
        return Response({"actor": request.actor.label})


class Undeclared(APIView):
    def get(self, request):
        return Response()


urlpatterns = [path("thing/<str:name>/", Thing.as_view()), path("undeclared/", Undeclared.as_view())]
