"""Sending the audit log on, as it is written: to HTTPS, to syslog and into files."""
