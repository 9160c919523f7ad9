"""A TCP relay that makes a server on loopback look far away: `relay.py PORT DELAY_MS` prints the port that it listens on.

Bytes arrive DELAY_MS later in each direction (a round trip takes twice that), as many as are sent meanwhile: a long fat pipe. A
kernel with netem does this better, where there is one.
"""

import asyncio
import sys

UNDER_WAY = 8 << 20  # bytes in one direction of one connection, well above what TCP or SSH windows allow


async def pump(reader, writer, delay):
    loop = asyncio.get_running_loop()
    queue, room = asyncio.Queue(), asyncio.Semaphore(UNDER_WAY >> 16)

    async def deliver():
        while (item := await queue.get()) is not None:
            due, data = item
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            writer.write(data)
            await writer.drain()
            room.release()
        writer.close()

    delivery = asyncio.create_task(deliver())
    try:
        while data := await reader.read(1 << 16):
            await room.acquire()
            queue.put_nowait((loop.time() + delay, data))
    except ConnectionError:
        pass
    queue.put_nowait(None)
    try:
        await delivery
    except ConnectionError:
        pass


async def main(port, delay):
    async def connected(reader, writer):
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, there_writer, delay), pump(there_reader, writer, delay))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) / 1e3))
