"""Keeping a running service well: backups, retention, alerts, and a look at it from outside."""
