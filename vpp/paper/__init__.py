"""Paper: statements, invoices, plan sheets and monthly reports as PDF, for people without a screen."""
