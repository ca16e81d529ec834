"""SCIM 2.0 (RFC 7643, RFC 7644) at `/scim/v2`: an HR system feeds the register of people, and gives nobody authority.

`resources` says what a user and a group are · `people` and `duties` make them of the register and back · `documents`
describes the service · `requests` reads what comes in, within limits · `feeding` tells it to the register · `listing`
answers queries · `errors` renders refusals · `calls` has the routes.
"""
