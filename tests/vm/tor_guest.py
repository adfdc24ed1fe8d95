"""A computer with a tor of its own, on a wire of a lab: `tor_guest.py SOCKET GATEWAY TORRC`.

Run in a network namespace of its own. Says "fetched" when a page came through Tor; looks up a name
without Tor for each line that it reads.
"""

import socket
import subprocess
import sys
import threading

from tailstest.lab.network.frames import LARGEST_FRAME, FrameReader, framed
from tailstest.lab.network.links import ip, without_offload
from tailstest.lab.network.servers.tor_probe import fetched

ETH_P_ALL, OUTGOING = 3, 4


def carry_in(line, card):
    reader = FrameReader()
    while data := line.recv(65536):
        for frame in reader.feed(data):
            card.send(frame)


def carry_out(line, card):
    while True:
        frame, origin = card.recvfrom(LARGEST_FRAME)
        if origin[2] != OUTGOING:
            line.sendall(framed(frame))


def plug_in(path, gateway):
    ip("link set lo up", "link add eth address 52:54:00:aa:00:09 type veth peer name card")
    for name in ("eth", "card"):
        without_offload(name)
    ip("link set eth up", "link set card promisc on up")
    ip(f"addr add {gateway.rsplit('.', 1)[0]}.150/24 dev eth", f"route add default via {gateway}")
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.connect(path)
    card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    card.bind(("card", 0))
    for carry in (carry_in, carry_out):
        threading.Thread(target=carry, args=(line, card), daemon=True).start()


def main(path, gateway, torrc):
    plug_in(path, gateway)
    subprocess.Popen(["tor", "-f", torrc], stdout=subprocess.DEVNULL)
    while not fetched(9050, "www.lab.test"):
        pass
    print("fetched", flush=True)
    for _ in sys.stdin:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as leak:
            question = bytes.fromhex("1234010000010000000000000364656602637a0000010001")
            leak.sendto(question, (gateway, 53))
            print(len(leak.recv(512)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
