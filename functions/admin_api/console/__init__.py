"""The web console: static files without a build step, and how a person signs in to it.

The page is served by the management API alone. It holds the API token in a variable of its tab and stores nothing.
"""
