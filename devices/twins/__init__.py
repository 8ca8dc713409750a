"""Twins: physics of a site behind real Modbus TCP servers on the loopback interface.

Nothing here uses the codec, the profiles or the planner of :mod:`devices`: registers are made with pymodbus'
own conversions from the manuals' tables, so that a mistake on one side is not undone by the same one on the
other.
"""
