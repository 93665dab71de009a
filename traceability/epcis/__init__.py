"""EPCIS 2.0: what happened to units, told to and by other companies' systems.

This module imports nothing, so that reading and hashing events needs no database library.
"""
