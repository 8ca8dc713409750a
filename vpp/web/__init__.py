"""The running service as people see it: the app, its doors and pages."""
