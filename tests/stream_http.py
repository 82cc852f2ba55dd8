#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""HTTP through STREAM sockets: stream_http.py LIBZMQ

The drop-in, through ctypes, is the server of Python's http.client, then the client of its http.server.
"""
import ctypes
import http.client
import http.server
import sys
import threading

import interop

interop.TYPES["STREAM"] = 11
ROUTING_ID = 5
BODY = b"<p>" + bytes(65 + n % 26 for n in range(300000)) + b"</p>"


def serve(library, handle, requests):
    """Answers each request, whatever it asks."""
    asked = {}
    while requests:
        name, data = library.recv(handle)
        asked[name] = asked.get(name, b"") + data
        if not data or not asked[name].endswith(b"\r\n\r\n"): # an empty one: the peer has come, or gone
            continue
        requests -= 1
        head = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)
        library.send(handle, [name, head])
        for at in range(0, len(BODY), 70000):
            library.send(handle, [name, BODY[at:at + 70000]])


def as_server(library, context):
    handle = library.open(context, "STREAM")
    library.call("zmq_bind", handle, b"tcp://127.0.0.1:*")
    port = int(library.endpoint(handle).rsplit(":", 1)[1])
    thread = threading.Thread(target=serve, args=(library, handle, 5))
    thread.start()
    for n in range(5):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", f"/{n}")
        response = connection.getresponse()
        assert response.status == 200 and response.read() == BODY, n
        connection.close()
    thread.join()
    library.call("zmq_close", handle)


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode() + BODY)

    def log_message(self, *_):
        pass


def as_client(library, context):
    server = http.server.HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handle = library.open(context, "STREAM")
    library.set(handle, 18, -1)  # RECONNECT_IVL: the server ends the connection, and that is the end of the page
    library.call("zmq_connect", handle, b"tcp://127.0.0.1:%d" % server.server_port)
    name, size = ctypes.create_string_buffer(255), ctypes.c_size_t(255)
    library.call("zmq_getsockopt", handle, ROUTING_ID, name, ctypes.byref(size))
    name = name.raw[:size.value]
    assert library.recv(handle) == [name, b""]
    library.send(handle, [name, b"GET /page HTTP/1.0\r\n\r\n"])
    page = b""
    while data := library.recv(handle)[1]:
        page += data
    assert page.startswith(b"HTTP/1.0 200") and page.endswith(b"\r\n\r\n/page" + BODY), page[:100]
    library.call("zmq_close", handle)
    server.shutdown()


def main():
    library = interop.Library(sys.argv[1])
    context = ctypes.c_void_p(library.zmq.zmq_ctx_new())
    as_server(library, context)
    as_client(library, context)
    library.call("zmq_ctx_term", context)


if __name__ == "__main__":
    main()
