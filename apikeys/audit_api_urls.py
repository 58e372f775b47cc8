from django.urls import path

from apikeys import audit_api

app_name = "apikeys-audit-api"
urlpatterns = [
    path("exports", audit_api.Exports.as_view(), name="exports"),
    path("exports/<uuid:pk>", audit_api.OneExport.as_view(), name="export"),
    path("exports/<uuid:pk>/file", audit_api.ExportFile.as_view(), name="export-file"),
    path("exports/<uuid:pk>/end", audit_api.EndExport.as_view(), name="end-export"),
    path("reviews", audit_api.Reviews.as_view(), name="reviews"),
    path("unreviewed", audit_api.Unreviewed.as_view(), name="unreviewed"),
]
