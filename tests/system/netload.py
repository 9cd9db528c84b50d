#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""netload.py HOST PORT COUNT RATE LIMIT: so many connections, RATE a second
whatever becomes of them, each with one request; prints in JSON how many got
their answer and how long each waited. Nobody waits longer than LIMIT
seconds."""

import asyncio
import json
import sys
import time


async def one(host, port, limit, out):
    begin = time.monotonic()
    try:
        async def talk():
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            head = await reader.read(64)
            writer.close()
            return head.split()[1].decode() if head else "empty"
        what = await asyncio.wait_for(talk(), limit)
    except asyncio.TimeoutError:
        what = "timeout"
    except OSError as e:
        what = type(e).__name__
    out[what] = out.get(what, 0) + 1
    out["waits"].append(round(time.monotonic() - begin, 4))


async def main(host, port, count, rate, limit):
    out = {"waits": []}
    begin = time.monotonic()
    tasks = []
    for i in range(count):
        late = begin + i / rate - time.monotonic()
        if late > 0:
            await asyncio.sleep(late)
        tasks.append(asyncio.create_task(one(host, port, limit, out)))
    await asyncio.gather(*tasks)
    out["waits"].sort()
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]),
                     float(sys.argv[4]), float(sys.argv[5])))
