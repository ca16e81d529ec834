"""Use cases, one function each, written against ports.

A service sees the ports of `ringfence.core.ports` and never a device, so the same steps run on every database and on
ports that fail on order. The main path, the gated read, is here.
"""
