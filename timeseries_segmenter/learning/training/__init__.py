"""Annotated series to a fitted model, in three acts: prepare, optimise, fit the decoding."""
