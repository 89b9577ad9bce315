"""The image alone, with its embedded database.

walk.py BINARY METRICS      what it tells Prometheus goes to METRICS
"""

import json
import os
import re
import time
from pathlib import Path

from containers import Container, ask, holds, main, until


def walk(image, metrics):
    owner = os.stat(image.root / "data")
    uid, gid = (int(number) for number in image.user.split(":"))
    holds("the user is a number, and not root", uid > 0 and gid > 0)
    holds("/data belongs to the user, and to nobody else", (owner.st_uid, owner.st_gid, owner.st_mode & 0o777) == (uid, gid, 0o700))
    holds("the root's certificates are there", (image.root / "etc/ssl/certs/ca-certificates.crt").stat().st_size > 100_000)
    # A new volume looks like the image's folder.
    data = image.base / "data"
    data.mkdir(mode=0o700)
    os.chown(data, uid, gid)
    how = {"binds": [(data, volume) for volume in image.volumes]}
    said = Container(image, [*image.entrypoint, "--version"], **how)
    holds("kith --version", said.ended(20) == 0 and re.match(r"kith \d+\.\d+\.\d+\n", said.said()), said.said())
    try_writing = Container(image, ["sh", "-c", "! touch /usr/local/bin/x && ! touch /etc/x && touch /data/x && rm /data/x"], **how)
    holds("the file system cannot be written, /data can", try_writing.ended(20) == 0, try_writing.said())

    server = Container(image, [*image.entrypoint, *image.cmd], **how)

    asked = []

    def health(*command):
        asked.append(Container(image, list(command), **how))
        return asked[-1].ended(20)

    holds(
        "it becomes healthy",
        until(60, lambda: server.ended(0.1) is not None or health(*image.health) == 0) and server.ended(0) is None,
        server.said() + (asked[-1].said() if asked else ""),
    )
    holds("it is ready", health(*image.health, "--ready") == 0)
    holds("nobody takes it for a worker", health(*image.health, "--work") == 1)
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines() if ":\t" in line)
    holds("the server is the container's first process", status["Name"] == "kith", status["Name"])
    holds(
        "it is not root, has no capabilities and gains none",
        status["Uid"].split() == [str(uid)] * 4
        and int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        and status["NoNewPrivs"] == "1",
    )
    host, port = "127.0.0.1", int(image.env["KITH_LISTEN"].split(":")[1])
    holds("/healthz", ask(host, port, "/healthz")[0] == 200)
    status, text = ask(host, port, "/readyz")
    holds("/readyz", status == 200 and json.loads(text)["ready"] is True, text)
    status, text = ask(host, port, "/graphql", {"query": "{ __typename }"})
    holds("/graphql", status in (200, 401) and ("data" in text or "errors" in text), text)
    holds("the explorer's page", ask(host, port, "/")[0] == 200)
    status, text = ask(host, port, "/metrics")
    holds("/metrics, asked from the same machine", status == 200 and text.endswith("# EOF\n"), text)
    Path(metrics).write_text(text)
    lines = [line for line in server.said().splitlines() if line.startswith("{")]
    holds("the log is for machines", lines and all(json.loads(line) for line in lines), server.said())
    kept = {file.name: file.stat().st_mode & 0o777 for file in data.iterdir()}
    holds(
        "database and keys are in /data, the keys for nobody else",
        "kith.db" in kept and kept["encryption.key"] == kept["jwt-ed25519.pem"] == 0o600,
        kept,
    )
    began = time.monotonic()
    code = server.stop(25)
    holds("SIGTERM ends it, well and soon", code == 0 and time.monotonic() - began < 10, f"exit code {code}\n{server.said()}")
    holds("then it is not healthy", health(*image.health) == 1)


if __name__ == "__main__":
    main(walk)
