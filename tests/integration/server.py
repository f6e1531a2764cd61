# SPDX-License-Identifier: MIT
"""A server that can be told to misbehave; harness_run.h says how."""
import asyncio, errno, json, os, signal, socket, sys

SAMPLE_KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455, with its answer
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

options = dict(a.partition("=")[::2] for a in sys.argv[1:])
listen = [a[7:] for a in sys.argv[1:] if a.startswith("listen=")]
servers = []


def say(text):
    try:
        print(text, flush=True)
    except BrokenPipeError:
        pass  # the devmesh run that kept it was killed


async def web_socket(reader, writer):
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
    )
    while True:
        head = await reader.readexactly(6)
        data = await reader.readexactly(head[1] & 0x7F)
        if head[0] & 15 == 8:
            return
        if head[0] & 15 == 9:
            pong = bytes(b ^ head[2 + i % 4] for i, b in enumerate(data))
            writer.write(bytes([0x8A, len(pong)]) + pong)


async def answer(reader, writer):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        if SAMPLE_KEY in head:
            return await web_socket(reader, writer)
        path = head.split(b" ", 2)[1]
        if path == b"/slow":
            await asyncio.sleep(0.3)
        if path == b"/env":
            body = json.dumps(dict(os.environ))
        elif path == b"/pid":
            body = str(os.getpid())
        else:
            body = os.environ.get("NAME") or os.environ.get("DEVMESH_ID") or "no id"
        text = body.encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n" % len(text) + text
        )
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def open_port(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while True:
        s = socket.socket(family, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            s.bind((address, port))
            break
        except OSError as e:
            if e.errno != errno.EADDRINUSE or "next" not in options:
                raise
            port += 1
    servers.append(await asyncio.start_server(answer, sock=s, backlog=1000))


async def open_unix(path):
    servers.append(await asyncio.start_unix_server(answer, path, backlog=1000))
    os.chmod(path, int(options.get("mode", "755"), 8))


async def move(port):
    for s in servers:
        s.close()
    servers.clear()
    await asyncio.sleep(0.5)
    await open_port("127.0.0.1", port)


def trapped(number):
    say(signal.Signals(number).name)
    os._exit(int(options["trap"]))


async def main():
    loop = asyncio.get_running_loop()
    await asyncio.sleep(float(options.get("delay", 0)))
    port = os.environ.get("PORT", "")
    if "unix" in options:
        await open_unix(options["unix"])
    elif not listen and port.startswith("/"):
        await open_unix(port)
    elif not listen:
        await open_port("127.0.0.1", int(port))
    for place in listen:
        address, _, number = place.partition(",")
        await open_port(address, int(number or port))
    if "move" in options:
        loop.add_signal_handler(
            signal.SIGUSR1, lambda: loop.create_task(move(int(options["move"])))
        )
    say("listening")
    await asyncio.Event().wait()


for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    if "ignore" in options:
        signal.signal(number, signal.SIG_IGN)
    elif "trap" in options:
        signal.signal(number, lambda n, frame: trapped(n))
    elif number == signal.SIGINT:
        signal.signal(number, signal.SIG_DFL)
if "raw" in options:
    import tty

    tty.setraw(0)
if "daemon" in options:
    if os.fork() > 0:
        os._exit(0)
    os.setsid()
    if os.fork() > 0:
        os._exit(0)
asyncio.run(main())
