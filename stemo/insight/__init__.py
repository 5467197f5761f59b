"""Stage 4: a series of readings becomes meaning.

- ``smoothing``  steadies the readings and boxes of each tracked face over time
"""
