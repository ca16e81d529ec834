"""What Ringfence knows, as values and pure functions.

No input or output, no clock, no randomness, no logging and no environment: time and random bytes are arguments, and
what a function needs it is given. That is what lets anyone run a recorded decision again and get the same answer.
Imports nothing of Ringfence but itself; the libraries it may use are listed in the architecture tests.
"""
