#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""netweb.py PORT: a small web server on all addresses. GET /bytes/N answers N
bytes that follow from their place alone; anything else "ok". POST answers the
sum of what came."""

import asyncio
import hashlib
import sys


def pattern(n):
    block = bytes(i * 7 & 255 for i in range(65536))
    return (block * (n // len(block) + 1))[:n]


async def serve(reader, writer):
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        words = head.split()
        body = b"ok\n"
        if words[0] == b"POST":
            length = int(next(
                line.split(b":")[1] for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")))
            data = await reader.readexactly(length)
            body = hashlib.sha256(data).hexdigest().encode()
        elif words[1].startswith(b"/bytes/"):
            body = pattern(int(words[1].split(b"/")[2]))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n"
                     b"Connection: close\r\n\r\n" % len(body) + body)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
        pass
    finally:
        writer.close()


async def main(port):
    server = await asyncio.start_server(serve, None, port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
