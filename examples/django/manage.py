#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A Django project. In a worktree:

    devmesh run -- python3 manage.py runserver

runserver listens on a port, which devmesh gives it. See hello/settings.py for what Django has to
know about the host name.
"""
import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hello.settings")
execute_from_command_line(sys.argv)
