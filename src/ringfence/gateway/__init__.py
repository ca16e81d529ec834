"""The HTTP face: the one way in and out for services and engineers.

Turns requests into calls of services and their results and errors into answers (RFC 9457). Authentication, limits on
every size and graceful stop live here; decisions do not.
"""
