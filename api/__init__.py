"""The HTTP service: decisions as plain ASGI for speed, the catalogue as FastAPI."""
