"""House rules of the deployment files: what schemas cannot say.

rules.py compose                       compose.yaml hangs together, and every container is bounded
rules.py context                       the image's build gets what it needs, and nothing that must not leave
rules.py chart RENDERED…               likewise for what the chart made of some values
rules.py metrics OUT [SCRAPED]         alerts and dashboard name metrics that there are, and a server tells them;
                                       the dashboard's expressions go to OUT as rules, for promtool
"""

import json
import re
import sys
from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parent.parent
ROOT = DEPLOY.parent
wrong = []


def must(holds, what):
    if not holds:
        wrong.append(what)


def variables():
    """The variables that Kith reads, as its source names them."""
    text = (ROOT / "src/config/load.rs").read_text()
    table = text[text.index("const VARIABLES") : text.index("];", text.index("const VARIABLES"))]
    names = re.findall(r'\("([A-Z_]+)", "', table)
    assert len(names) > 20, "src/config/load.rs is not read any more"
    return set(names)


SECRET = {"DATABASE_URL", "DATABASE_MIGRATE_URL", "REDIS_URL", "KITH_JWT_PRIVATE_KEY", "KITH_ENCRYPTION_KEY"}
SECRET |= {"KITH_METRICS_TOKEN", "KITH_MAIL_URL", "KITH_NATS_URL", "KITH_CHALLENGE_SECRET", "KITH_ENCRYPTION_PREVIOUS_KEYS"}


def settings(where, environment):
    """Variables are known, and secrets come from files."""
    known = variables()
    for name in environment:
        plain = name.removesuffix("_FILE")
        must(plain in known, f"{where}: Kith knows no {name}")
        must(plain not in SECRET or name.endswith("_FILE"), f"{where}: {name} is a secret, and would stand in the environment")


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m|h)", str(text)).groups()
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


def interpolate(value):
    """As Compose does it, where nothing is set."""
    if isinstance(value, str):
        return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value).replace("$$", "$")
    if isinstance(value, list):
        return [interpolate(item) for item in value]
    if isinstance(value, dict):
        return {key: interpolate(item) for key, item in value.items()}
    return value


def read_compose():
    return interpolate(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))


# How long Kith takes to stop, from its source: requests under way, the work beside them, the database.
def bounds():
    listen = (ROOT / "src/infra/listen.rs").read_text()
    serve = (ROOT / "src/commands/serve.rs").read_text()
    grace = int(re.search(r"const GRACE: Duration = Duration::from_secs\((\d+)\)", listen).group(1))
    work, close = (int(number) for number in re.findall(r"timeout\(Duration::from_secs\((\d+)\)", serve))
    return grace, work, close


def patience():
    """For how long `kith healthcheck` waits for an answer."""
    text = (ROOT / "src/commands/healthcheck.rs").read_text()
    return int(re.search(r"const PATIENCE: Duration = Duration::from_secs\((\d+)\)", text).group(1))


def aliases(service):
    networks = service.get("networks", {})
    return [alias for network in networks if isinstance(networks, dict) for alias in networks[network].get("aliases", [])]


def compose():
    file = read_compose()
    services = file["services"]
    made = set(re.findall(r"^put (\w+) ", (DEPLOY / "compose-secrets").read_text(), re.M))
    must(made == set(file["secrets"]), f"compose-secrets makes {sorted(made)}, compose.yaml wants {sorted(file['secrets'])}")
    for name, secret in file["secrets"].items():
        must(secret == {"file": f"./secrets/{name}"}, f"secret {name}: not in ./secrets")
    grace, _, close = bounds()
    for name, service in services.items():
        once = name in ("migrate", "expire-audit")
        ours = service["image"].startswith("kith:")
        environment = service.get("environment", {})
        must(service.get("read_only") is True, f"{name}: the file system can be written")
        must(service.get("cap_drop") == ["ALL"], f"{name}: has capabilities")
        must("cap_add" not in service, f"{name}: is given capabilities")
        must("no-new-privileges:true" in service.get("security_opt", []), f"{name}: may gain privileges")
        must(re.fullmatch(r"[1-9]\d*:[1-9]\d*", str(service.get("user"))), f"{name}: its user is not a number, or root")
        must(re.search(r":[\w.-]*\d", service["image"]) and not service["image"].endswith(":latest"), f"{name}: the image has no version")
        must("privileged" not in service and "network_mode" not in service and "pid" not in service, f"{name}: leaves its container")
        limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
        must({"cpus", "memory", "pids"} <= set(limits), f"{name}: takes as much as it can get")
        must("max-size" in service.get("logging", {}).get("options", {}), f"{name}: its log grows without end")
        health = service.get("healthcheck", {})
        must(
            health.get("disable") is True if once else {"test", "interval", "timeout", "retries", "start_period"} <= set(health),
            f"{name}: health check",
        )
        if ours and not once:
            # It says what was wrong when its patience is over, and not before.
            must(seconds(health["timeout"]) > patience(), f"{name}: the health check is killed before it says anything")
            must(("--work" in health["test"]) == ("KITH_WORK_LISTEN" in environment) == (name == "work"), f"{name}: asks somebody else")
            must("KITH_METRICS_TOKEN_FILE" in environment, f"{name}: Prometheus may not look")
        must(not once or "KITH_QUERY_SECONDS" not in environment, f"{name}: Kith gives it no deadline, the settings do")
        must("stop_grace_period" in service or name == "expire-audit", f"{name}: is killed after ten seconds")
        if name.startswith("serve"):
            must(seconds(service["stop_grace_period"]) > grace + close, f"{name}: is killed before it has stopped by itself")
        if name == "work":
            must(seconds(service["stop_grace_period"]) > 60, f"{name}: is killed while it sends")
        for mount in service.get("volumes", []):
            source, *_ = mount.split(":")
            must(source in file["volumes"] or mount.endswith(":ro"), f"{name}: {mount} can be written")
            must(not source.startswith("./") or (DEPLOY / source).exists(), f"{name}: {source} is not there")
        for network in service.get("networks", []):
            must(network in file["networks"], f"{name}: no network {network}")
        for secret in service.get("secrets", []):
            must(secret in file["secrets"], f"{name}: no secret {secret}")
        used = {value for key, value in environment.items() if key.endswith("_FILE")}
        for value in used:
            must(
                Path(value).parent == Path("/run/secrets") and Path(value).name in service.get("secrets", []),
                f"{name}: {value} is not mounted",
            )
        for other, how in service.get("depends_on", {}).items():
            must(other in services, f"{name}: waits for {other}, which there is not")
            condition, health = how["condition"], services[other].get("healthcheck", {})
            must(
                condition != "service_healthy" or not health.get("disable"), f"{name}: waits for the health of {other}, which is not asked"
            )
        for port in service.get("ports", []):
            must(port.startswith("127.0.0.1:"), f"{name}: is open to the network")
        if ours:
            settings(name, environment)
    # PostgreSQL takes a hundred connections; each process opens a few beside those of the setting.
    most = sum(
        int(service["environment"].get("DATABASE_MAX_CONNECTIONS", 16)) + 3
        for service in services.values()
        if service["image"].startswith("kith:")
    )
    must(most <= 97, f"all processes together open up to {most} connections")
    must(file["networks"]["inside"].get("internal") is True, "the database's network reaches the world")
    for name in ("postgres", "redis"):
        must(services[name]["networks"] == ["inside"], f"{name}: is not on the inner network alone")
    owners = {name for name, service in services.items() if "database_migrate_url" in service.get("secrets", [])}
    must(owners == {"migrate", "expire-audit"}, f"{sorted(owners)} have the owner's login")


def pattern(text):
    """A pattern of a .dockerignore, as a regular expression for a path and all below it."""
    out = ""
    for part in re.split(r"(\*\*/|\*\*|\*|\?)", text):
        out += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
    return re.compile(out + r"(?:/.*)?")


def in_context(path):
    """Whether the build gets a file: the last pattern that fits decides."""
    inside = True
    for line in map(str.strip, (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()):
        if line and not line.startswith("#") and pattern(line.lstrip("!").strip("/")).fullmatch(path):
            inside = line.startswith("!")
    return inside


def context():
    needed = {"Cargo.toml", "Cargo.lock", "build.rs", "LICENSE"}
    manifest = (ROOT / "Cargo.toml").read_text()
    needed |= set(re.findall(r'^path = "([^"]+\.rs)"', manifest, re.M))
    needed |= {f"benches/{name}.rs" for name in re.findall(r'\[\[bench\]\]\nname = "(\w+)"', manifest)}
    members = re.search(r"^members = \[([^\]]*)\]", manifest, re.M).group(1)
    for folder in ["src", "explorer", *re.findall(r'"(\w+)"', members)]:
        needed |= {
            str(file.relative_to(ROOT)) for file in (ROOT / folder).rglob("*") if file.is_file() and "node_modules" not in file.parts
        }
    for source in (ROOT / "src").rglob("*.rs"):
        for name in re.findall(r'include_(?:str|bytes)!\("([^"]+)"\)', source.read_text()):
            needed.add(str((source.parent / name).resolve().relative_to(ROOT)))
    for path in sorted(needed):
        must((ROOT / path).exists(), f"{path} is not there")
        must(in_context(path), f"the build needs {path} and does not get it")
    for path in [
        "target/debug/kith",
        "kith-data/kith.db",
        ".git/config",
        "kith.toml",
        "deploy/secrets/database_url",
        "deploy/.env",
        "explorer/node_modules/x/y.js",
        "tests/it/harness.rs",
    ]:
        must(not in_context(path), f"the build gets {path}")
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    must("LICENSE" in re.findall(r"^COPY (?:--\S+ )*([\w./-]+) /", dockerfile, re.M), "the image does not have the licence")
    must(seconds(re.search(r"^HEALTHCHECK .*--timeout=(\w+)", dockerfile, re.M).group(1)) > patience(), "Dockerfile: the health check is killed")
    version = re.search(r'^version = "([^"]+)"', manifest, re.M).group(1)
    must(f"ARG VERSION={version}\n" in dockerfile, f"Dockerfile: the version is not {version}")
    must(f"${{KITH_VERSION:-{version}}}" in (DEPLOY / "compose.yaml").read_text(), f"compose.yaml: the version is not {version}")
    must(
        yaml.safe_load((DEPLOY / "helm/kith/Chart.yaml").read_text())["appVersion"] == version, f"Chart.yaml: the version is not {version}"
    )


def pods(document):
    kind, spec = document["kind"], document.get("spec", {})
    if kind in ("Deployment", "Job"):
        yield spec["template"]
    if kind == "CronJob":
        yield spec["jobTemplate"]["spec"]["template"]


def chart(files):
    for file in files:
        documents = [document for document in yaml.safe_load_all(Path(file).read_text()) if document]
        by = {}
        for document in documents:
            by.setdefault(document["kind"], []).append(document)
            name = f"{Path(file).name}: {document['kind']} {document['metadata']['name']}"
            for pod in pods(document):
                pod_rules(name, document, pod)
        deployments = {d["metadata"]["labels"]["app.kubernetes.io/component"]: d for d in by["Deployment"]}
        services = {s["metadata"]["labels"]["app.kubernetes.io/component"]: s for s in by["Service"]}
        labels = {part: d["spec"]["template"]["metadata"]["labels"].items() for part, d in deployments.items()}
        ports = {part: d["spec"]["template"]["spec"]["containers"][0]["ports"] for part, d in deployments.items()}
        must(set(services) == set(deployments), f"{file}: services for {sorted(services)}")
        for part, service in services.items():
            selector = service["spec"]["selector"].items()
            must([other for other, of in labels.items() if selector <= of] == [part], f"{file}: the service finds others than {part}")
            must([p["targetPort"] for p in service["spec"]["ports"]] == [p["name"] for p in ports[part]], f"{file}: {part}: the service's ports")
        reached = {}
        for policy in by.get("NetworkPolicy", []):
            selector = policy["spec"]["podSelector"]["matchLabels"].items()
            for part in (part for part, of in labels.items() if selector <= of and "matchExpressions" not in policy["spec"]["podSelector"]):
                reached[part] = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
        for part in deployments if reached else ():
            must(reached.get(part) == [port["name"] for port in ports[part]], f"{file}: {part} is reached at {reached.get(part)}")
        for part, deployment in deployments.items():
            must(deployment["spec"]["selector"]["matchLabels"].items() <= labels[part], f"{file}: {part} does not find its pods")
            must(
                deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0, f"{file}: {part} goes before its successor is there"
            )
        works = {e["name"]: e.get("value") for e in deployments["serve"]["spec"]["template"]["spec"]["containers"][0]["env"]}[
            "KITH_WORK_IN_SERVE"
        ]
        must(works == ("false" if "work" in deployments else "true"), f"{file}: nobody works, or nodes and workers do")
        for budget in by.get("PodDisruptionBudget", []):
            must(budget["spec"]["selector"]["matchLabels"].items() <= labels["serve"], f"{file}: the budget finds no node")
        for scaler in by.get("HorizontalPodAutoscaler", []):
            must(scaler["spec"]["scaleTargetRef"]["name"] == deployments["serve"]["metadata"]["name"], f"{file}: the scaler finds no node")
            must("replicas" not in deployments["serve"]["spec"], f"{file}: scaler and deployment both say how many")
        for monitor in by.get("ServiceMonitor", []):
            (component,) = monitor["spec"]["selector"]["matchExpressions"]
            must(component["key"] == "app.kubernetes.io/component" and component["operator"] == "In", f"{file}: the monitor's selector")
            for part, service in services.items():
                must(
                    monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
                    and part in component["values"],
                    f"{file}: the monitor does not find the service of {part}",
                )
            must(
                {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]}
                == {port["name"] for service in services.values() for port in service["spec"]["ports"]},
                f"{file}: the monitor's ports",
            )
            for endpoint in monitor["spec"]["endpoints"]:
                given = {rule["targetLabel"]: rule.get("replacement") for rule in endpoint["relabelings"]}
                must(given.get("job") == "kith" and "part" in given, f"{file}: the alerts do not know the series by these labels")
        for rule in by.get("PrometheusRule", []):
            must(rule["spec"] == yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text()), f"{file}: the alerts are others")
        for job in by.get("Job", []):
            hook = job["metadata"]["annotations"]["helm.sh/hook"]
            must(hook == "pre-install,pre-upgrade", f"{file}: migrations do not come first")
            must(
                "serviceAccountName" not in job["spec"]["template"]["spec"],
                f"{file}: the first migration waits for an account that is made after it",
            )


def pod_rules(name, document, pod):
    spec = pod["spec"]
    security = spec["securityContext"]
    must(security["runAsNonRoot"] is True and security["runAsUser"] > 0, f"{name}: may be root")
    must(security["seccompProfile"]["type"] == "RuntimeDefault", f"{name}: no seccomp")
    must(spec["automountServiceAccountToken"] is False, f"{name}: has a token of the cluster")
    must(spec["enableServiceLinks"] is False, f"{name}: has variables of the cluster")
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    must(all("emptyDir" not in volume or "sizeLimit" in volume["emptyDir"] for volume in volumes.values()), f"{name}: writes without end")
    for container in spec["containers"]:
        inner = container["securityContext"]
        must(inner["readOnlyRootFilesystem"] is True, f"{name}: the file system can be written")
        must(inner["allowPrivilegeEscalation"] is False and inner["capabilities"]["drop"] == ["ALL"], f"{name}: has capabilities")
        must(not container["image"].endswith(":latest") and re.search(r"[:@]", container["image"]), f"{name}: the image has no version")
        must(
            {"cpu", "memory"} <= set(container["resources"]["limits"]) and container["resources"]["requests"],
            f"{name}: takes as much as it can get",
        )
        environment = {e["name"]: e.get("value") for e in container["env"]}
        must(len(environment) == len(container["env"]), f"{name}: a variable is set twice")
        settings(name, environment)
        must(all(mount["name"] in volumes for mount in container["volumeMounts"]), f"{name}: a mount has no volume")
        must(set(volumes) == {mount["name"] for mount in container["volumeMounts"]}, f"{name}: a volume is not mounted")
        inside = {
            source["secret"]["name"]: [item["path"] for item in source["secret"]["items"]]
            for source in volumes["secrets"].get("projected", {}).get("sources", [])
        }
        for key, value in environment.items():
            if key.endswith("_FILE"):
                must(Path(value).parent == Path("/run/secrets/kith"), f"{name}: {value} is not mounted")
                must(not inside or any(Path(value).name in paths for paths in inside.values()), f"{name}: {value} is not mounted")
        owner = "DATABASE_MIGRATE_URL_FILE" in environment
        must(owner == (document["kind"] in ("Job", "CronJob")), f"{name}: who has the owner's login")
        must(not owner or "KITH_QUERY_SECONDS" not in environment, f"{name}: Kith gives it no deadline, the settings do")
        if container["args"][0] in ("serve", "work"):
            asked = {probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
            must(asked == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}, f"{name}: {asked}")
            (port,) = container["ports"]
            must({container[probe]["httpGet"]["port"] for probe in asked} == {port["name"]}, f"{name}: the probes' port")
            listen = environment["KITH_LISTEN" if container["args"][0] == "serve" else "KITH_WORK_LISTEN"]
            must(listen == f"0.0.0.0:{port['containerPort']}", f"{name}: listens at {listen}")
        if container["args"][0] == "serve":
            grace, work, close = bounds()
            stop = int(container["lifecycle"]["preStop"]["exec"]["command"][1]) if "lifecycle" in container else 0
            needed = stop + grace + close + (work if environment["KITH_WORK_IN_SERVE"] == "true" else 0)
            must(spec["terminationGracePeriodSeconds"] >= needed, f"{name}: is killed before it has stopped by itself, in {needed} seconds")


def told():
    """The series that Kith tells, from its source, each with its labels."""
    text = (ROOT / "src/infra/telemetry.rs").read_text()
    body = re.search(r"pub struct Metrics \{(.*?)^\}", text, re.M | re.S).group(1)
    fields = dict(re.findall(r"^    (?:pub )?(\w+): (.+),$", body, re.M))
    labels = {name: re.findall(r"pub (\w+):", body) for name, body in re.findall(r"pub struct (\w+) \{([^}]*)\}", text)}
    series = {}
    # What is known once and for all is no field.
    fields |= dict(re.findall(r"let (\w+) = (Gauge)::<", text))
    for name, field in re.findall(r'registry\.register\("(\w+)", "[^"]*", (?:metrics\.)?(\w+(?:::new\(\[\("\w+)?)', text):
        if field.startswith("Info"):
            series[f"kith_{name}_info"] = [field.rpartition('"')[2]]
            continue
        kind = fields[field]
        of = next((found for key, found in labels.items() if f"Family<{key}," in kind), [])
        if kind == "Seconds":
            of = labels["Operation"]
        if "Counter" in kind:
            series[f"kith_{name}_total"] = of
        elif "Histogram" in kind or kind == "Seconds":
            for suffix, more in (("_bucket", ["le"]), ("_sum", []), ("_count", [])):
                series[f"kith_{name}{suffix}"] = [*of, *more]
        else:
            series[f"kith_{name}"] = of
    assert len(series) > 12, "src/infra/telemetry.rs is not read any more"
    return series


def metrics(out, scraped=None):
    series, beside = told(), {"job", "instance", "namespace", "part"}
    alerts = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())
    expressions = [(rule["alert"], rule["expr"]) for group in alerts["groups"] for rule in group["rules"]]
    for group in alerts["groups"]:
        for rule in group["rules"]:
            must(rule.get("for") and rule["labels"].get("severity") in ("critical", "warning", "info"), f"{rule['alert']}: for, severity")
            must({"summary", "description"} <= set(rule["annotations"]), f"{rule['alert']}: does not say what it is and what to do")
    tests = (DEPLOY / "prometheus/alerts_test.yaml").read_text()
    for rule in (rule for group in alerts["groups"] for rule in group["rules"]):
        must(rule["alert"] in tests, f"{rule['alert']}: is not tested")
    board = json.loads((DEPLOY / "grafana/kith.json").read_text())
    must(board["id"] is None, "the dashboard has the number that some Grafana gave it")
    taken, ids, rules = {}, set(), []
    for panel in board["panels"]:
        place, title = panel["gridPos"], panel["title"]
        must(panel["id"] not in ids, f"{title}: its number is taken")
        ids.add(panel["id"])
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                must(x < 24 and (x, y) not in taken, f"{title}: lies on {taken.get((x, y))}")
                taken[x, y] = title
        for target in panel.get("targets", []):
            must(target["datasource"]["uid"] == "${datasource}", f"{title}: asks one source only")
            plain = target["expr"].replace("$__rate_interval", "5m").replace("$job", "kith").replace("$instance", ".*")
            must("$" not in plain, f"{title}: a variable that there is not")
            expressions.append((title, plain))
            rules.append({"record": f"panel:p{panel['id']}{target['refId'].lower()}", "expr": plain})
    Path(out).write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    # A family without a sample is not told; what is told must be what the source was understood to say.
    for family, kind in re.findall(r"^# TYPE (\S+) (\w+)$", Path(scraped).read_text() if scraped else "", re.M):
        name = family + {"counter": "_total", "gauge": "", "histogram": "_bucket", "info": "_info"}[kind]
        must(name in series, f"the server that was asked tells {name}, which was not expected")
    for where, text in expressions:
        for name, matchers in re.findall(r"\b(kith_\w+)(?:\{([^}]*)\})?", text):
            must(name in series, f"{where}: Kith tells no {name}")
            for label in re.findall(r"(\w+)\s*[=!]~?\"", matchers):
                must(label in beside or label in series.get(name, []), f"{where}: {name} has no label {label}")
        for grouping in re.findall(r"\bby \(([^)]*)\)", text):
            for label in re.split(r"[\s,]+", grouping.strip()):
                must(label in beside or any(label in of for of in series.values()), f"{where}: no series has the label {label}")
    used = {name for _, text in expressions for name in re.findall(r"\bkith_\w+", text)}
    for name in series:
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        must(any(name_used.startswith(family) for name_used in used), f"nobody looks at {name}")


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    {"compose": compose, "context": context, "chart": lambda *files: chart(files), "metrics": metrics}[what](*arguments)
    for line in dict.fromkeys(wrong):
        print(line)
    sys.exit(bool(wrong))
