"""Says what uvicorn understood of each request."""

import hashlib
import json
import sys

import uvicorn


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError(f"not served: {scope['type']}")
    digest, length, more = hashlib.sha256(), 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        digest.update(message.get("body", b""))
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    headers = {}
    for name, value in scope["headers"]:
        name, value = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    query = scope["query_string"].decode("latin-1")
    said = {
        "method": scope["method"],
        "target": scope["raw_path"].decode("latin-1") + (f"?{query}" if query else ""),
        "host": headers.get("host", ""),
        "headers": headers,
        "trailers": {},
        "length": length,
        "digest": digest.hexdigest(),
    }
    body = json.dumps(said).encode()
    fields = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send(
        {"type": "http.response.start", "status": 405 if scope["method"] == "CONNECT" else 200, "headers": fields}
    )
    await send({"type": "http.response.body", "body": body})


uvicorn.run(app, host="0.0.0.0", port=int(sys.argv[1]), log_level="error", h11_max_incomplete_event_size=1 << 17)
