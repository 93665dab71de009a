"""What we know about every unit, and what it adds up to.

This module imports nothing, so that the statistics can be used without the database library.
"""
