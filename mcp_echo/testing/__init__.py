"""Using the server in the test suite of a client: a pytest plugin, and what it is made of.

Whoever has the package installed has the plugin; what does not use it pays for one small module. Nothing here
imports Twisted, which runs in a process of its own.
"""
