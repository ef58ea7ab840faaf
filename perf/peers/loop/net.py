"""Rows echo and serve: protocols on transports, the form that asyncio's documentation and uvloop's own
benchmarks give for speed; streams are built on them and cost twice as much."""
import asyncio

from common import MESSAGE, load_work


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Serve(Echo):
    """A request says how much to work before it is sent back."""

    work = None
    have = b""

    def data_received(self, data):
        self.have += data
        while len(self.have) >= MESSAGE:
            message, self.have = self.have[:MESSAGE], self.have[MESSAGE:]
            x = Serve.work(1, int.from_bytes(message[:4], "little"))
            self.transport.write(message[:5] + bytes([x & 255]) + message[6:])


async def listen(protocol):
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, backlog=1024)
    print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


async def echo():
    await listen(Echo)


async def serve():
    Serve.work = load_work()
    await listen(Serve)
