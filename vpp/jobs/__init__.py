"""Work that comes again and again: what is due, in which order, done once, what became of it (ADR 0026)."""
