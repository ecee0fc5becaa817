"""A model as a folder that predicts without torch, pandas and this service: its writer and its reader."""
