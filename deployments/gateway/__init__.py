"""The ingress without Ray: an OpenAI API that routes each request to a pool, as an ASGI app."""
