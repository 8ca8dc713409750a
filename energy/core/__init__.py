"""Floor 0: slots, units, series, assets, plan vocabulary, errors, clock, calendars."""
