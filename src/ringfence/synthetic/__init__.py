"""Made-up users, for demonstrations and tests: nobody's data, in the shape of somebody's.

Every e-mail address, phone number and network address lies in a range that is reserved for nobody: RFC 2606 names,
numbers that regulators keep for films, RFC 5737 and RFC 3849 networks. The same seed always gives the same users.
Needs the libraries of the `demo` extra.
"""
