"""Measuring the product against given instances."""
