"""The Python client of the gateway, with typed errors and retries that are safe.

Of Ringfence it imports the error tree alone, so that an app can use it without the custodian's code.
"""
