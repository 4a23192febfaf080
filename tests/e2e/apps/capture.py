"""Records what goes over every link of the network that it runs on, until its standard input ends.

Prints "capturing" first; at the end one line of JSON: for each direction of each TCP connection its bytes, in order,
and how many packets were lost because it was too slow. Takes only packets, never sends any.
"""

import base64
import json
import socket
import struct
import sys
import threading

ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_RCVBUFFORCE = 33
IPV4, TCP = 0x0800, 6


def segments(packet):
    """The direction, sequence number and bytes of a TCP segment; None for anything else."""
    if len(packet) < 34 or struct.unpack("!H", packet[12:14])[0] != IPV4 or packet[23] != TCP:
        return None
    length = struct.unpack("!H", packet[16:18])[0]
    segment = packet[14 + (packet[14] & 15) * 4 : 14 + length if length else None]
    source, destination, sequence = struct.unpack("!HHI", segment[:8])
    ends = (socket.inet_ntoa(packet[26:30]), source, socket.inet_ntoa(packet[30:34]), destination)
    if segment[13] & 2:
        sequence += 1
    return ends, sequence, segment[(segment[12] >> 4) * 4 :]


def main():
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    try:
        raw.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    except PermissionError:  # not root outside the user namespace: as much as the system allows
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
    raw.settimeout(0.2)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    print("capturing", flush=True)
    streams = {}
    while True:
        try:
            found = segments(raw.recv(1 << 17))
        except TimeoutError:
            if ended.is_set():
                break
            continue
        if found:
            ends, sequence, data = found
            parts = streams.setdefault(ends, {})
            if len(data) > len(parts.get(sequence, b"")):
                parts[sequence] = data
    _, lost = struct.unpack("II", raw.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    said = []
    for (source, source_port, destination, port), parts in streams.items():
        joined, following = b"", None
        for sequence in sorted(parts):
            skip = 0 if following is None else following - sequence
            if skip < len(parts[sequence]):
                joined += parts[sequence][max(skip, 0) :]
                following = sequence + len(parts[sequence])
        text = base64.b64encode(joined).decode()
        said.append({"from": source, "from_port": source_port, "to": destination, "to_port": port, "bytes": text})
    print(json.dumps({"streams": said, "lost": lost}), flush=True)


if __name__ == "__main__":
    main()
