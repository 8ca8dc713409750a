"""Floor 2: plan windows, dated market rules, demand and its memory, tariff and bill."""
