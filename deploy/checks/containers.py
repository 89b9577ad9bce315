"""Containers without Docker.

Walks the last stage of deploy/Dockerfile in a throw-away copy of this machine's file system (an overlay, so the machine must
be a Debian of its kind), and runs what that makes as containers would be: without root, capabilities or a file system that
can be written, in a network of its own that has nothing but loopback addresses.

Needs root. Ends with 77 where the machine does not let it.
"""

import contextlib
import http.client
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rules

DEPLOY, ROOT = rules.DEPLOY, rules.ROOT
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
passed = 0


def holds(what, good, why=""):
    global passed
    if not good:
        raise SystemExit(f"WRONG  {what}\n{why}")
    passed += 1
    print(f"ok     {what}", flush=True)


def run(*command, **more):
    return subprocess.run(command, check=True, **more)


def instructions():
    """The last stage of the Dockerfile: (word, what follows), without comments and line breaks."""
    text = re.sub(r"^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.M)
    lines = [line.strip() for line in re.sub(r"\\\n", " ", text).splitlines() if line.strip()]
    found = [tuple(re.split(r"\s+", line, maxsplit=1)) for line in lines]
    last = max(at for at, (word, _) in enumerate(found) if word == "FROM")
    return found[last:]


class Image:
    """The file system that the steps made, and how a container of it starts."""

    def __init__(self, base):
        self.base, self.root = Path(base), Path(base) / "root"
        self.env, self.user, self.workdir, self.volumes, self.entrypoint, self.cmd, self.health = {"PATH": PATH}, "0", "/", [], [], [], []

    def build(self, binary):
        for folder in ("upper", "work", "root"):
            (self.base / folder).mkdir()
        run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={self.base}/upper,workdir={self.base}/work", self.root)
        run("mount", "-t", "proc", "proc", self.root / "proc")
        run("mount", "--rbind", "/dev", self.root / "dev")
        for folder in ("tmp", "run"):
            run("mount", "-t", "tmpfs", "tmpfs", self.root / folder)
        arguments = {}
        for word, rest in instructions():
            if word == "ARG":
                name, _, value = rest.partition("=")
                arguments[name] = value
            elif word == "ENV":
                self.env |= dict(pair.split("=", 1) for pair in shlex.split(rest))
            elif word == "RUN":
                # The names of what the machine itself has would be in the way.
                subprocess.run(["chroot", self.root, "sh", "-c", "userdel kith; groupdel kith"], capture_output=True, check=False)
                command = [
                    "chroot",
                    self.root,
                    "env",
                    "-i",
                    *self.pairs(self.env),
                    "DEBIAN_FRONTEND=noninteractive",
                    "sh",
                    "-e",
                    "-c",
                    rest,
                ]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                holds(f"RUN {rest[:60]}…", done.returncode == 0, done.stdout + done.stderr)
            elif word == "COPY":
                *options, source, to = rest.split()
                mode = next((option.removeprefix("--chmod=") for option in options if option.startswith("--chmod=")), "0644")
                if any(option.startswith("--from=") for option in options):
                    taken = binary
                else:
                    taken = ROOT / source
                    holds(f"{source} is in the build's context", rules.in_context(source))
                run("install", "-D", "-m", mode, taken, self.root / to.lstrip("/"))
            elif word == "USER":
                self.user = rest
            elif word == "WORKDIR":
                self.workdir = rest
            elif word == "VOLUME":
                self.volumes.append(rest)
            elif word == "ENTRYPOINT":
                self.entrypoint = json.loads(rest)
            elif word == "CMD":
                self.cmd = json.loads(rest)
            elif word == "HEALTHCHECK":
                self.health = json.loads(rest[rest.index("CMD") + 3 :])
            elif word == "STOPSIGNAL":
                holds("it is stopped by SIGTERM", rest == "SIGTERM")
            elif word not in ("FROM", "LABEL", "EXPOSE"):
                raise SystemExit(f"what does {word} do?")
        run("umount", self.root / "proc")

    @staticmethod
    def pairs(env):
        return [f"{name}={value}" for name, value in env.items()]


class Container:
    """One program in the image's file system, which it cannot write; in a mount namespace of its own."""

    def __init__(self, image, command, *, env=(), user=None, tmpfs=(), binds=(), secrets=None, workdir=None):
        uid, gid = (user or image.user).split(":")
        root = shlex.quote(str(image.root))
        steps = ["set -e", f"mount --bind {root} {root}"]
        points = ["/proc", "/dev", "/tmp", "/run/secrets", *[mount.split(":")[0] for mount in tmpfs]]
        steps += [f"mkdir -p {root}{shlex.quote(point)}" for point in points]
        for source, to in binds:
            made = f"mkdir -p {root}{to}" if Path(source).is_dir() else f"mkdir -p {root}{os.path.dirname(to)}; touch {root}{to}"
            steps += [made, f"mount --bind {shlex.quote(str(source))} {root}{to}"]
        for mount in tmpfs:
            point, _, options = mount.partition(":")
            # As Docker mounts them.
            steps += [f"mount -t tmpfs -o {'noexec,nosuid,nodev,mode=1777' + (',' + options if options else '')} tmpfs {root}{point}"]
        if secrets:
            steps += [f"mount -t tmpfs -o mode=0755 tmpfs {root}/run/secrets"]
            steps += [f"cp -p {shlex.quote(str(source))} {root}/run/secrets/{name}" for name, source in secrets.items()]
        steps += [f"mount -t proc proc {root}/proc", f"mount --rbind /dev {root}/dev", f"mount -o remount,bind,ro {root}"]
        bounded = (
            f"setpriv --reuid={uid} --regid={gid} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all --ambient-caps=-all"
        )
        inside = [*Image.pairs({**image.env, **dict(env)}), *command]
        steps += [f"exec chroot {root} {bounded} env -i -C {shlex.quote(workdir or image.workdir)} {shlex.join(inside)}"]
        self.log = tempfile.TemporaryFile()
        # nginx opens its standard output by name.
        os.fchmod(self.log.fileno(), 0o666)
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "bash", "-c", "\n".join(steps)],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def ended(self, within):
        """Its exit code; None if it goes on."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(within)

    def stop(self, within):
        self.process.send_signal(signal.SIGTERM)
        return self.ended(within)


def until(seconds, good):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if good():
            return True
        time.sleep(0.2)
    return False


def ask(host, port, path, body=None, headers=()):
    """Status and text; 0 if nobody answers."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        headers = {"content-type": "application/json", **dict(headers)}
        connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        return 0, str(error)
    finally:
        connection.close()


def main(what):
    """Makes the image of the binary that is named first, and hands it to `what` with the second argument."""
    stage = os.environ.get("KITH_STAGE")
    if stage is None:
        # A mount namespace, so that nothing is left mounted however this ends.
        if os.geteuid() != 0:
            print("only root can do this")
            sys.exit(77)
        able = subprocess.run(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--propagation", "private", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
            capture_output=True,
            text=True,
            check=False,
        )
        if able.returncode:
            print(f"this machine does not allow it: {able.stderr.strip()}")
            sys.exit(77)
        base = tempfile.mkdtemp(prefix="kith-image.")
        try:
            sys.exit(
                subprocess.run(
                    ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv],
                    env={**os.environ, "KITH_STAGE": "build", "KITH_BASE": base},
                    check=False,
                ).returncode
            )
        finally:
            os.rmdir(base)
    base = os.environ["KITH_BASE"]
    if stage == "build":
        run("mount", "-t", "tmpfs", "-o", "mode=0711", "tmpfs", base)
        image = Image(base)
        image.build(sys.argv[1])
        holds("the image's steps run", True)
        (Path(base) / "image.json").write_text(
            json.dumps({key: value for key, value in vars(image).items() if key not in ("base", "root")})
        )
        # Networks and processes of its own: when this ends, whatever it started has ended.
        command = [
            "unshare",
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--propagation",
            "private",
            sys.executable,
            *sys.argv,
        ]
        sys.exit(subprocess.run(command, env={**os.environ, "KITH_STAGE": "run"}, check=False).returncode)
    image = Image(base)
    vars(image).update(json.loads((Path(base) / "image.json").read_text()))
    run("ip", "link", "set", "lo", "up")
    what(image, sys.argv[2])
    print(f"{passed} passed")
