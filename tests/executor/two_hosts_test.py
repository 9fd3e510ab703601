#!/usr/bin/env python3
"""two_hosts_test.py MPIRUN PROGRAM: ranks on two hosts equal one rank. The hosts are two network namespaces, joined by a
pair of virtual Ethernet devices alone. Skips (77) without the right to make them."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

A, B = "iso_host_a", "iso_host_b"
LEAST_CROSSING = 1 << 20  # bytes; launching a program that does nothing three times sends 6 kB
AGENT = f"""#!/bin/sh
shift  # the host's name: there is one other
exec ip netns exec {B} unshare --uts sh -c "hostname {B.replace('_', '-')}; $*"
"""


def ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True)


def make_hosts():
    for host in (A, B):
        ip("netns", "add", host)
        ip("-n", host, "link", "set", "lo", "up")
    ip("link", "add", "iso_a", "netns", A, "type", "veth", "peer", "name", "iso_b", "netns", B)
    for host, device, address in ((A, "iso_a", "10.77.0.1/24"), (B, "iso_b", "10.77.0.2/24")):
        ip("-n", host, "address", "add", address, "dev", device)
        ip("-n", host, "link", "set", device, "up")


def received_bytes(host, device):
    link, = json.loads(ip("-n", host, "-json", "-s", "link", "show", device).stdout)
    return link["stats64"]["rx"]["bytes"]


def remove_hosts():
    for host in (A, B):
        ip("netns", "delete", host, check=False)


def main(mpirun, program):
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("unshare") is None:
        print("skipped: making network namespaces needs root, ip and unshare")
        sys.exit(77)
    remove_hosts()
    try:
        make_hosts()
    except subprocess.CalledProcessError as error:
        remove_hosts()
        print("skipped: no network namespaces here: " + error.stderr.strip())
        sys.exit(77)
    try:
        with tempfile.TemporaryDirectory() as folder:
            agent = pathlib.Path(folder, "agent")
            agent.write_text(AGENT)
            agent.chmod(0o755)
            environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                               OPENBLAS_NUM_THREADS="1")
            network = ["--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", "10.77.0.0/24", "--mca",
                       "oob_tcp_if_include", "10.77.0.0/24", "--mca", "plm_rsh_agent", str(agent)]
            for processes in (2, 4, 8):
                run = subprocess.run(["ip", "netns", "exec", A, mpirun, "-n", str(processes), "--host",
                                      f"10.77.0.1:{processes // 2},10.77.0.2:{processes // 2}", *network, program,
                                      "equality"], env=environment, capture_output=True, text=True, timeout=120)
                print(run.stdout + run.stderr)
                if run.returncode != 0 or "largest difference" not in run.stdout:
                    sys.exit(1)
        received = received_bytes(B, "iso_b")
        print(f"{received} bytes crossed to the second host")
        sys.exit(received < LEAST_CROSSING)
    finally:
        remove_hosts()


if __name__ == "__main__":
    main(*sys.argv[1:])
