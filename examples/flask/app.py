# SPDX-License-Identifier: MIT
"""A Flask application. In a worktree:

    devmesh run -- flask run --debug      # Flask 2.2: flask --debug run
    devmesh run -- gunicorn app:app       # the same, without a debugger

Both listen on the Unix socket itself. ProxyFix takes the scheme and the host from Caddy.
"""
import os

from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

app = Flask(__name__)
if os.environ.get("DEVMESH_URL"):
    app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)


@app.get("/")
def index():
    text = f"{request.path} over {request.scheme} in {os.getcwd()}\n"
    return text, {"Content-Type": "text/plain; charset=utf-8"}
