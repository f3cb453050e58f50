"""Torture: real processes, killed and frozen at random; afterwards nothing may be lost or doubled.

``python3 -m tests.torture --jobs 100 --minutes 5 --seed 7`` is the long run.
"""
