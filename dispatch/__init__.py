"""Plans from problems: one compiled model, a solver, rules of thumb and checks; no clock, no I/O."""
