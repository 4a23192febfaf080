"""Sends HTTP requests one after the other on one connection; prints the answers as JSON.

Arguments: host, port, and a JSON list of [method, path, headers, size of the body]. A connection that the other side
closes is opened again. An answer that breaks off says so in `broken`.
"""

import contextlib
import http.client
import json
import sys
import time

PATIENCE = 30


def ask(connection, method, path, headers, size):
    began = time.monotonic()
    try:
        connection.request(method, path, body=b"x" * size if size else None, headers=headers)
        answer = connection.getresponse()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        body = answer.read()
    except (http.client.HTTPException, OSError) as broken:
        connection.close()
        return {"broken": type(broken).__name__, "status": 0, "seconds": time.monotonic() - began}
    said = {"status": answer.status, "headers": fields, "size": len(body), "seconds": time.monotonic() - began}
    with contextlib.suppress(ValueError):
        said["body"] = json.loads(body)
    return said


def main():
    host, port, requests = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    print(json.dumps([ask(connection, *request) for request in requests]))


if __name__ == "__main__":
    main()
