"""A site that runs: control every few seconds, plans beside it, what must be kept kept (ADR 0025)."""
