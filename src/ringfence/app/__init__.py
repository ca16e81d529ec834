"""Wiring: the one place that names every device.

Reads a configuration, builds the devices it names, joins them to the services and hands both to a face. Nothing else
in Ringfence constructs a device.
"""
