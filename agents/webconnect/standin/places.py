"""Regions and hosts, after the manual's examples. The full list is not documented."""

ACCESS_POINTS = (
    ("California", "california-service1.webconnect.hulft.com"),
    ("California", "california-service2.webconnect.hulft.com"),
    ("Tokyo", "service1.tokyo.webconnect.hulft.com"),
    ("Tokyo", "service2.tokyo.webconnect.hulft.com"),
)
TRANSFER_SITES = (
    ("California", "california-ap.webconnect.hulft.com"),
    ("Tokyo", "service-ap.tokyo.webconnect.hulft.com"),
)
