"""Decisions: from a request to what its entry must say, by the charter and the state alone.

`view` one question to the charter, and its answer · `engines` which answer it, each frozen under its name · `ruling` a
whole request, class by class, with what people gave and what they stopped · `refusal_words` why it is refused, in
sentences, and what could be asked instead.
"""
