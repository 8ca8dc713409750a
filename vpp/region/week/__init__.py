"""A week of a region: forecasts, plans, what really happens, settlement, and what it all came to."""
