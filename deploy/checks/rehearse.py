"""compose.yaml, as Compose would run it: with PostgreSQL, Redis and nginx of this machine in the places of their images.

rehearse.py BINARY NGINX
"""

import base64
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import rules
from containers import PATH, Container, ask, holds, main, run, until

DEPLOY = rules.DEPLOY

# PostgreSQL's image, as far as compose.yaml uses it: what its entrypoint does with an empty volume.
POSTGRES = r"""
set -euo pipefail
data=/var/lib/postgresql/data
if [ ! -s $data/PG_VERSION ]; then
  initdb -D $data --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS >/dev/null
  echo 'host all all all scram-sha-256' >>$data/pg_hba.conf
  pg_ctl -D $data -w -o "-c listen_addresses=''" start >/dev/null
  for script in /docker-entrypoint-initdb.d/*.sh; do "$script"; done
  pg_ctl -D $data -w -m fast stop >/dev/null
fi
exec postgres -D $data -c listen_addresses='*'
"""


def programs():
    """The folder of the newest PostgreSQL of this machine."""
    found = [
        (int(folder.parent.name.split(".")[0]), folder)
        for folder in Path("/usr/lib/postgresql").glob("*/bin")
        if (folder / "initdb").exists()
    ]
    return str(max(found)[1]) if found else None


class Compose:
    """compose.yaml, as Compose would run it."""

    def __init__(self, image, nginx):
        self.image, self.file, self.running, self.how, self.asked = image, rules.read_compose(), {}, {}, None
        services = self.file["services"]
        # Everybody is on one network here, so each node listens on an address of its own.
        self.address = {name: f"127.0.10.{number}" for number, name in enumerate(services, 1)}
        (image.root / "etc/hosts").write_text(
            "127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in self.address.items())
        )
        users = (image.root / "etc/passwd").read_text()
        if ":999:" not in users:
            (image.root / "etc/passwd").write_text(users + "service:x:999:999::/nonexistent:/usr/sbin/nologin\n")
        (image.root / "usr/local/bin/postgres-image").write_text("#!/bin/bash" + POSTGRES)
        (image.root / "usr/local/bin/postgres-image").chmod(0o755)
        run("install", "-m", "0755", nginx, image.root / "usr/local/bin/nginx")
        threading.Thread(target=self.names, daemon=True).start()
        self.secrets = image.base / "deploy"
        self.secrets.mkdir()
        run("cp", DEPLOY / "compose-secrets", self.secrets)
        run(self.secrets / "compose-secrets", stdout=subprocess.DEVNULL)
        again = subprocess.run([self.secrets / "compose-secrets"], capture_output=True, check=False)
        holds("compose-secrets makes secrets once", again.returncode == 1)

    def names(self):
        """A name server, as Compose has one: the addresses of a service, or of all that share an alias."""
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.11", 53))
        while True:
            query, sender = server.recvfrom(512)
            end = query.index(b"\0", 12)
            name = re.sub(rb"[\x01-\x1f]", b".", query[12:end]).decode().lstrip(".")
            found = [
                self.address[service]
                for service, container in self.running.items()
                if container.ended(0) is None and name in (service, *rules.aliases(self.file["services"][service]))
            ]
            header = query[:2] + b"\x81\x80\0\1" + len(found).to_bytes(2, "big") + b"\0\0\0\0"
            records = [b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(address) for address in found]
            server.sendto(header + query[12 : end + 5] + b"".join(records), sender)

    def secret(self, name):
        return (self.secrets / "secrets" / name).read_text().strip()

    def start(self, name, command=None, env=()):
        service = self.file["services"][name]
        own, binds, given = {}, [], dict(service.get("environment", {}))
        command = [*service.get("entrypoint", []), *(command or service.get("command", []))]
        if service["image"].startswith("kith:"):
            command = [*self.image.entrypoint, *command]
            given["KITH_LISTEN"] = f"{self.address[name]}:4000"
            if "KITH_WORK_LISTEN" in given:
                given["KITH_WORK_LISTEN"] = f"{self.address[name]}:4001"
        else:
            # What the other images have that this one has not.
            own = {"KITH_LISTEN": ""}
            if name == "postgres":
                command, own["PATH"] = ["postgres-image"], f"{programs()}:{PATH}"
        for mount in service.get("volumes", []):
            source, to, *_ = mount.split(":")
            if source in self.file["volumes"]:
                source = self.image.base / f"volume-{source}"
                source.mkdir(exist_ok=True, mode=0o700)
                os.chown(source, *(int(number) for number in service["user"].split(":")))
            binds.append(((DEPLOY / source) if not isinstance(source, Path) else source, to))
        secrets = {secret: self.secrets / "secrets" / secret for secret in service.get("secrets", [])}
        how = {
            "env": {**own, **given, **dict(env)},
            "user": service["user"],
            "tmpfs": service.get("tmpfs", []),
            "binds": binds,
            "secrets": secrets,
            "workdir": "/",
        }
        return Container(self.image, command, **how), how

    def healthy(self, name):
        test = self.file["services"][name]["healthcheck"]["test"]
        command = test[1:] if test[0] == "CMD" else ["/bin/sh", "-c", test[1]]
        # The memory that a container writes to is its own: the check needs none of it.
        self.asked = Container(self.image, command, **self.how[name])
        return self.asked.ended(20) == 0

    def bring(self, name):
        """Starts a service, and waits until it is healthy."""
        container, self.how[name] = self.start(name)
        good = until(90, lambda: container.ended(0) is not None or self.healthy(name))
        holds(f"{name} becomes healthy", good and container.ended(0) is None, container.said() + (self.asked.said() if self.asked else ""))
        self.running[name] = container

    def up(self):
        waiting = {name: service for name, service in self.file["services"].items() if "profiles" not in service}
        while waiting:
            name = next(name for name, service in waiting.items() if not set(service.get("depends_on", {})) & set(waiting))
            service = waiting.pop(name)
            if service["healthcheck"].get("disable"):
                code, container = self.once(name, within=120)
                holds(f"{name} ends well", code == 0, container.said())
            else:
                self.bring(name)

    def once(self, name, command=None, env=(), within=60):
        container, _ = self.start(name, command, env)
        return container.ended(within), container

    def stop(self, name):
        grace = rules.seconds(self.file["services"][name]["stop_grace_period"])
        container = self.running[name]
        # What their images say: PostgreSQL does not wait for whoever is connected, nginx answers what is under way.
        how = {"postgres": signal.SIGINT, "balancer": signal.SIGQUIT}
        container.process.send_signal(how.get(name, signal.SIGTERM))
        code = container.ended(grace)
        holds(f"{name} stops within its {grace} seconds", code == 0, f"exit code {code}\n{container.said()}")

    def down(self):
        for name in reversed(self.running):
            if self.running[name].ended(0) is None:
                self.stop(name)


def socket_acknowledges(host, port, token):
    """Opens a WebSocket as a client does, and says who it is."""
    with socket.create_connection((host, port), timeout=15) as wire:
        key = base64.b64encode(os.urandom(16)).decode()
        wire.sendall(
            f"GET /graphql HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )
        got = b""
        while b"\r\n\r\n" not in got:
            more = wire.recv(4096)
            if not more:
                return False, got
            got += more
        text = json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}).encode()
        mask = os.urandom(4)
        frame = b"\x81" + (b"\xfe" + len(text).to_bytes(2, "big") if len(text) > 125 else bytes([0x80 | len(text)])) + mask
        wire.sendall(frame + bytes(byte ^ mask[at % 4] for at, byte in enumerate(text)))
        while b"connection_ack" not in got:
            more = wire.recv(4096)
            if not more:
                return False, got
            got += more
        return got.startswith(b"HTTP/1.1 101"), got


def told(at, headers):
    """What somebody tells Prometheus, by series, and how long that took."""
    began = time.monotonic()
    status, text = ask(*at, "/metrics", headers=headers)
    lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    return ({name: value for name, _, value in lines} if status == 200 else {"": text}), time.monotonic() - began


def away(compose, node, worker, headers):
    """What watches Kith hears that the database, or Redis, is away, and that it is back."""
    for name, series, serves in (("postgres", "kith_database_up", False), ("redis", "kith_redis_up", True)):
        compose.stop(name)
        for who, at in (("a node", node), ("the worker", worker)):
            heard = until(30, lambda at=at, series=series: told(at, headers)[0].get(series) == "0")
            found, took = told(at, headers)
            holds(f"{name} is away, and {who} tells it", heard, found)
            holds("within the ten seconds that Prometheus waits", took < 10, f"{took:.1f} seconds")
        holds("the node is alive", ask(*node, "/healthz")[0] == 200)
        status, text = ask(*node, "/readyz")
        holds("it is ready still" if serves else "it is not ready", status == (200 if serves else 503), text)
        holds("its health check says the same", compose.healthy("serve-2") == serves)
        holds("nobody starts the worker anew for it", compose.healthy("work"))
        compose.bring(name)
        back = until(60, lambda series=series: told(node, headers)[0].get(series) == "1" and ask(*node, "/readyz")[0] == 200)
        holds(f"{name} is back, and so is the node", back, compose.running["serve-2"].said())


def rehearse(image, nginx):
    compose = Compose(image, nginx)
    compose.up()
    password = base64.b32encode(os.urandom(15)).decode()
    create = ["create-workspace", "--name", "Example", "--admin", "Ada", "--email", "ada@example.com"]
    code, made = compose.once("serve-1", create, {"KITH_ADMIN_PASSWORD": password})
    holds("a workspace is made by command", code == 0, made.said())

    front = ("127.0.0.1", 8080)

    def graphql(query, token=None, at=front):
        return ask(*at, "/graphql", {"query": query}, {"authorization": f"Bearer {token}"} if token else {})

    who = f'{{ email: "ada@example.com", password: "{password}" }}'
    status, text = graphql(f"mutation {{ signIn(input: {who}) {{ session {{ accessToken }} userErrors {{ message }} }} }}")
    holds("signing in, through the balancer", status == 200 and "accessToken" in text, text)
    token = json.loads(text)["data"]["signIn"]["session"]["accessToken"]

    stream = http.client.HTTPConnection(*front, timeout=30)
    body = json.dumps({"query": "subscription { companyChanges { kind company { name } } }"})
    stream.request(
        "POST", "/graphql", body, {"content-type": "application/json", "accept": "text/event-stream", "authorization": f"Bearer {token}"}
    )
    events = stream.getresponse()
    holds(
        "a subscription over server-sent events, through the balancer",
        events.status == 200 and "event-stream" in events.headers["content-type"],
    )
    for node in ("serve-1", "serve-2"):
        name = f"Made on {node}"
        status, text = graphql(
            f'mutation {{ createCompany(input: {{ name: "{name}" }}) {{ company {{ id }} userErrors {{ message }} }} }}',
            token,
            (compose.address[node], 4000),
        )
        holds(f"{node} writes", status == 200 and '"id"' in text, text)
        line = b""
        while name.encode() not in line:
            line = events.readline()
            if not line:
                break
        holds("its event comes at once", name.encode() in line and b"ENTERED" in line, line)
    stream.close()
    good, got = socket_acknowledges(*front, token)
    holds("a WebSocket, through the balancer", good, got)

    for path in ("/metrics", "/readyz"):
        holds(f"the balancer does not show {path}", ask(*front, path)[0] == 404)
    node = (compose.address["serve-2"], 4000)
    holds("a node's metrics need the token", ask(*node, "/metrics")[0] == 403)
    bearer = {"authorization": f"Bearer {compose.secret('metrics_token')}"}
    holds("with it they are told", ask(*node, "/metrics", headers=bearer)[0] == 200)
    status, text = ask(*node, "/readyz")
    ready = json.loads(text)
    holds("database, schema and Redis are there", ready["database"] == ready["migrations"] == ready["redis"] == "ok", text)
    # The nodes are told not to work, so somebody else did it.
    holds(
        "the worker works",
        until(30, lambda: re.search(r'kith_jobs\{of="DONE"\} [1-9]', ask(*node, "/metrics", headers=bearer)[1])),
        compose.running["work"].said(),
    )
    worker = (compose.address["work"], 4001)
    holds("it is ready", ask(*worker, "/readyz")[0] == 200)
    holds("its metrics need the token", ask(*worker, "/metrics")[0] == 403)
    status, text = ask(*worker, "/metrics", headers=bearer)
    holds("with it the worker tells what it did", status == 200 and re.search(r"^kith_jobs_done_total\{.*\} [1-9]", text, re.M), text)
    holds("it answers nothing else", ask(*worker, "/graphql", {"query": "{ __typename }"})[0] == 404)
    code, looked = compose.once("serve-2", ["doctor"])
    holds("kith doctor finds nothing wrong", code == 0, looked.said())
    code, again = compose.once("migrate")
    holds("migrating again changes nothing", code == 0, again.said())
    code, expired = compose.once("expire-audit")
    holds("expire-audit", code == 0, expired.said())

    away(compose, node, worker, bearer)
    companies = "{ companies(first: 5) { nodes { name } } }"
    # That a connection was cut is noticed by whoever takes it next, and fails; there are 19 at most.
    nodes = [(compose.address[name], 4000) for name in ("serve-1", "serve-2")]
    holds("connections that were cut are made anew", until(60, lambda: all(graphql(companies, token, at)[0] == 200 for at in nodes * 20)))

    answers = []
    for count in range(30):
        if count == 10:
            compose.running["serve-1"].process.send_signal(signal.SIGTERM)
        answers.append(graphql(companies, token)[0])
        time.sleep(0.05)
    # The balancer's connection may wait in the node's queue just when the socket is closed. That request is not sent again: it
    # could have been a mutation that was seen.
    holds("a node goes, and at most one request with it", answers.count(200) >= 29, answers)
    holds("the node ended well", compose.running["serve-1"].ended(30) == 0, compose.running["serve-1"].said())
    compose.down()


if __name__ == "__main__":
    if not (programs() and Path("/usr/bin/redis-server").exists()):
        print("PostgreSQL and Redis are not installed here")
        sys.exit(77)
    main(rehearse)
