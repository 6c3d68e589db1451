"""What the servers here have in common: a free port of 127.0.0.1, told in FOLDER/url, and no chatter."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


def serve(handler, folder):
    """Serves until it is killed. The file is whole as soon as it is there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    temporary = os.path.join(folder, "url.tmp")
    with open(temporary, "w", encoding="ascii") as file:
        file.write(f"http://127.0.0.1:{server.server_address[1]}")
    os.rename(temporary, os.path.join(folder, "url"))
    server.serve_forever()
