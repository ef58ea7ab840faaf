"""Row http for asyncio: uvicorn with uvloop and httptools, and an application of its protocol, no
framework: http_uvicorn.py http [key=value ...]. One process, one loop, whatever workers= says; the
access log is off, as it would be what is measured."""
import socket
import sys

import uvicorn


async def hello(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"text/plain"), (b"content-length", b"13")]})
    await send({"type": "http.response.body", "body": b"Hello, World!"})


def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(hello, loop="uvloop", http="httptools", access_log=False,
                            log_level="critical", lifespan="off", server_header=False)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:  # the usual end
        pass


if sys.argv[1:2] == ["http"]:
    main()
else:
    sys.exit("usage: http_uvicorn.py http [key=value ...]")
