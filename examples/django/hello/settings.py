# SPDX-License-Identifier: MIT
import os

DEBUG = True
SECRET_KEY = "for development only"
ROOT_URLCONF = "hello.urls"
USE_TZ = True

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]

# What devmesh tells: the name under which we answer, and that forms are sent from there.
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
if "DEVMESH_URL" in os.environ:
    ALLOWED_HOSTS += [os.environ["DEVMESH_HOST"]]
    CSRF_TRUSTED_ORIGINS = [os.environ["DEVMESH_URL"]]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
