"""API v1 for programs: one router per noun, one table of rights, one form of errors."""
