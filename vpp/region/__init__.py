"""A region of many sites: drawn from real series, planned as one plant, offered and dispatched."""
