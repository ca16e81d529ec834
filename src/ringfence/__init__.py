"""Ringfence holds one jurisdiction's user data at an independent custodian.

Data is encrypted under keys that only the custodian has (*hold*), every access is decided by an agreed charter
(*decide*), nothing is answered before it is in a tamper-evident ledger (*record*), and anyone can re-run every
decision offline (*prove*). Imports point down: cli, app, gateway, services, devices, core.
"""

__version__ = "0.1.0"
