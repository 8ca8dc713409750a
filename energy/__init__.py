"""Floors 0 to 2: vocabulary, store, market and ledger. Imports nothing, so that each is loaded alone."""
