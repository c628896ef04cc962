"""The authorization server: people sign in here to MCP servers that require an API token (OAuth 2.1).

One file per decision: metadata, clients, registration, client_documents, redirects, requests, page, people, provider,
codes, consents, tokens, limits; app.py has the routes. Whatever a person or a client must keep secret is stored as a
digest, and every item has a TTL.
"""
