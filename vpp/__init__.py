"""Floor 4: the running product: use cases, jobs, command line, reports."""
