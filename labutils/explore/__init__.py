"""Explorers: a pure picture with controls; the only room that knows widgets."""
