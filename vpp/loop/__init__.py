"""The loop: plan, guard, command, read back and record, half hour after half hour."""
