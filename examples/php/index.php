<?php
// SPDX-License-Identifier: MIT
// PHP's own server. In a worktree:
//
//   devmesh run -- php -S 127.0.0.1:0
//
// It has to be told a port; with 0 it takes a free one, and devmesh finds out which.
header('Content-Type: text/plain; charset=utf-8');
$scheme = $_SERVER['HTTP_X_FORWARDED_PROTO'] ?? 'http';
echo "{$_SERVER['REQUEST_URI']} over $scheme in ", getcwd(), "\n";
