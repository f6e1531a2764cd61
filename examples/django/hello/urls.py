# SPDX-License-Identifier: MIT
import os

from django.http import HttpResponse
from django.urls import path


def index(request):
    text = f"{request.path} over {request.scheme} for {request.get_host()} in {os.getcwd()}\n"
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


urlpatterns = [path("", index)]
