"""Plans from problems: one compiled model, a solver, rules of thumb and checks; pure, without clock or I/O."""
