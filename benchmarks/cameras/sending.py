"""How fast the simulated camera draws and sends, and what of a core sending takes: on loopback, nobody reading.

PYTHONPATH=. python benchmarks/cameras/sending.py [--size 2048] [--seconds 3]
"""

from __future__ import annotations

import argparse
import socket
import time

from cameras.simulator.device import SimulatedCamera
from cameras.simulator.scene import Scene, parts_scene, prepared_scene, strip_scene
from tests.cameras.gige_client import Client, a_camera, a_free_address

PACKET_SIZES = (1400, 8192, 16384)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048, help="width and height, px")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each packet size")
    given = parser.parse_args()
    strip = strip_scene(wh_px=(given.size, given.size))
    for each in (strip, parts_scene(size_px=given.size)):
        print(f"{each.about}: {drawing_s(each) * 1000:.0f} ms to draw {given.size} x {given.size} px")
    scene = prepared_scene(strip, 4)
    address = a_free_address()
    print("packet  pictures/s   MB/s  share of a core")
    with (
        a_camera(address=address, scene=scene, frames_per_s=1000.0) as camera,
        Client(address, scene=scene) as client,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody,
    ):
        nobody.bind(("127.0.0.1", 0))
        client.take_control()
        client.must_write("DeviceLinkThroughputLimit", 1_250_000_000)
        client.must_write("GevSCDA", int.from_bytes(socket.inet_aton("127.0.0.1")))
        client.must_write("GevSCPHostPort", nobody.getsockname()[1])
        for packet_size in PACKET_SIZES:
            client.must_write("GevSCPSPacketSize", packet_size)
            client.must_write("AcquisitionStart")
            rate, core = measured(camera, given.seconds)
            client.must_write("AcquisitionStop")
            print(f"{packet_size:6}  {rate:10.0f}  {rate * given.size**2 / 1e6:5.0f}  {core:15.2f}")


def drawing_s(scene: Scene) -> float:
    """For one picture, the mean of four."""
    began_s = time.monotonic()
    for index in range(4):
        scene.look(index, scene.default_wh_px[1])
    return (time.monotonic() - began_s) / 4


def measured(camera: SimulatedCamera, seconds: float) -> tuple[float, float]:
    """Pictures a second, and the processor time that a second of it takes."""
    before, began_s, cpu_s = camera.counts()["sent"], time.monotonic(), time.process_time()
    time.sleep(seconds)
    passed_s = time.monotonic() - began_s
    return (camera.counts()["sent"] - before) / passed_s, (time.process_time() - cpu_s) / passed_s


if __name__ == "__main__":
    main()
