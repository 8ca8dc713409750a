"""Around the formulas of bills, market and demand response: files in, plans kept, money traced."""
