"""The HTTP face: a thin ASGI application over the custody service. It decides nothing.

`application`, `governance` have the routes, with `bodies`, `exporting`, `http` · `scim` those of HR systems ·
`direct_reads` the way around them, for plain reads · `authentication`, `country` who calls and from where · `problems`
errors as answers · `protocol`, `transport`, `connections` what a connection may do · `openapi`, `openapi_governance`,
`openapi_parts` all of it for tools.
"""
