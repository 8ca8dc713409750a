"""The command line: one file per noun, imported when its noun is called."""
