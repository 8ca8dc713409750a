"""Floor 3: forecasts of load, sunshine and cars. Values in, values out: no clock, no I/O, no randomness."""
