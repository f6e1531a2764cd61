# SPDX-License-Identifier: MIT
"""An ASGI application, without a framework. In a worktree:

    devmesh run -- uvicorn app:app --reload

uvicorn listens on the Unix socket itself. FORWARDED_ALLOW_IPS, which devmesh sets, makes it believe
Caddy about the scheme: the answer says https.
"""
import os


async def app(scope, receive, send):
    if scope["type"] != "http":  # no lifespan, no WebSockets
        return
    body = f"{scope['path']} over {scope['scheme']} in {os.getcwd()}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
