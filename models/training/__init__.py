"""The training desk: makes a training set, trains on it and releases what came out.

Needs the `training` extra. Ultralytics is AGPL-3.0, so nothing a station runs imports from here.
"""
