"""The HTTP face: a thin ASGI application over the custody service. It decides nothing.

`application` has the routes; `authentication` and `country` say who calls and from where; `problems` turns errors
into answers.
"""
