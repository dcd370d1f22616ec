"""The manifests agree with themselves and with the product. `make manifests-check` holds them against schemas and a
hardening linter."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rowcast.entrypoints.exposition import LANES
from rowcast.inference import v2_pb2
from rowcast.settings import Settings
from rowcast.v1 import rowcast_pb2

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("minikube", "production")
WORKLOADS = {"Deployment", "Job"}
SECRETS = {
    "rowcast_api_key",
    "rowcast_broker_url",
    "rowcast_database_url",
    "rowcast_storage_access_key",
    "rowcast_storage_secret_key",
}

Manifest = dict[str, Any]


@pytest.fixture(scope="module", params=OVERLAYS)
def manifests(request, tmp_path_factory) -> list[Manifest]:
    return rendered(request.param, tmp_path_factory.mktemp("kubernetes"))


@pytest.fixture(scope="module")
def production(tmp_path_factory) -> list[Manifest]:
    return rendered("production", tmp_path_factory.mktemp("production"))


def rendered(overlay: str, place: Path) -> list[Manifest]:
    """As a cluster gets them; the secrets that run-minikube makes are there, and empty."""
    copied = place / "kubernetes"
    shutil.copytree(KUBERNETES, copied, ignore=shutil.ignore_patterns("secrets"))
    secrets = copied / "overlays/minikube/secrets"
    secrets.mkdir()
    for name in (*SECRETS, "tls.crt", "tls.key"):
        (secrets / name).write_text("none")
    command = ["kubectl", "kustomize", str(copied / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    [found] = [manifest for manifest in of(manifests, kind) if manifest["metadata"]["name"] == name]
    return found


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The templates of pods by the name of what makes them."""
    return {each["metadata"]["name"]: each["spec"]["template"] for each in of(manifests, *WORKLOADS)}


def container(pod: Manifest) -> Manifest:
    [only] = pod["spec"]["containers"]
    return only


def chosen(manifests: list[Manifest], selector: dict[str, Any]) -> list[Manifest]:
    labels = selector.get("matchLabels", selector if "matchExpressions" not in selector else {})
    expressions = selector.get("matchExpressions", [])
    return [
        pod
        for pod in pods(manifests).values()
        if all(pod["metadata"]["labels"].get(name) == value for name, value in labels.items())
        and all(pod["metadata"]["labels"].get(one["key"]) in one["values"] for one in expressions)
    ]


def ports(pod: Manifest) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in container(pod).get("ports", [])}


def test_selectors_choose_what_they_are_meant_for(manifests):
    for each in of(manifests, "Deployment", "PodDisruptionBudget"):
        assert [pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in _selected(manifests, each)] == [
            each["metadata"]["name"]
        ]
    for service in of(manifests, "Service"):
        [pod] = chosen(manifests, service["spec"]["selector"])
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= set(ports(pod))
        assert all(ports(pod)[port["targetPort"]] == port["port"] for port in service["spec"]["ports"])


def _selected(manifests: list[Manifest], each: Manifest) -> list[Manifest]:
    return chosen(manifests, each["spec"]["selector"])


def test_network_policies_name_pods_and_ports_that_there_are(manifests):
    for policy in of(manifests, "NetworkPolicy"):
        targets = chosen(manifests, policy["spec"]["podSelector"])
        assert targets
        rules = policy["spec"].get("ingress", [])
        for name in [port["port"] for rule in rules for port in rule.get("ports", [])]:
            assert all(name in ports(pod) for pod in targets)
        for peer in _peers(policy):
            assert chosen(manifests, peer["podSelector"])


def _peers(policy: Manifest) -> Iterator[Manifest]:
    for direction, side in (("ingress", "from"), ("egress", "to")):
        for rule in policy["spec"].get(direction, []):
            yield from (peer for peer in rule.get(side, []) if "podSelector" in peer)


def test_ingresses_lead_to_ports_of_services_and_all_of_grpc(manifests):
    services = {each["metadata"]["name"]: each for each in of(manifests, "Service")}
    hosts = set()
    for ingress in of(manifests, "Ingress"):
        [rule], [tls] = ingress["spec"]["rules"], ingress["spec"]["tls"]
        hosts |= {rule["host"], *tls["hosts"]}
        for path in rule["http"]["paths"]:
            named_port = path["backend"]["service"]
            assert named_port["port"]["name"] in [one["name"] for one in services[named_port["name"]]["spec"]["ports"]]
    [host] = hosts
    settings = named_start(manifests, "ConfigMap", "rowcast")["data"]
    assert settings["ROWCAST_PUBLIC_URL"] == f"https://{host}"
    grpc = {path["path"] for path in named(manifests, "Ingress", "grpc")["spec"]["rules"][0]["http"]["paths"]}
    ours = {name for module in (rowcast_pb2, v2_pb2) for name in _services(module)}
    assert {f"/{name}" for name in ours} <= grpc


def _services(module: Any) -> list[str]:
    return [service.full_name for service in module.DESCRIPTOR.services_by_name.values()]


def named_start(manifests: list[Manifest], kind: str, start: str) -> Manifest:
    [found] = [each for each in of(manifests, kind) if re.fullmatch(rf"{start}(-\w+)?", each["metadata"]["name"])]
    return found


def test_probes_ask_for_what_is_there(manifests, openapi_paths):
    known = openapi_paths | {"/metrics", "/_stcore/health"}
    for name, pod in pods(manifests).items():
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = container(pod).get(kind, {})
            if "httpGet" in probe:
                assert probe["httpGet"]["path"] in known
                assert probe["httpGet"]["port"] in ports(pod)
            if "grpc" in probe:
                assert probe["grpc"]["port"] == ports(pod)["grpc"]
        assert name == "migrate" or "livenessProbe" in container(pod)


@pytest.fixture(scope="module")
def openapi_paths() -> set[str]:
    return set(json.loads((ROOT / "docs/reference/openapi.json").read_text())["paths"])


def test_commands_and_settings_are_those_of_the_product(manifests):
    commands = (ROOT / "docs/reference/cli.md").read_text()
    known = {f"ROWCAST_{name.upper()}" for name in Settings.model_fields}
    config = named_start(manifests, "ConfigMap", "rowcast")
    assert set(config["data"]) <= known
    assert {name.lower() for name in known} >= SECRETS
    Settings.model_validate({name.removeprefix("ROWCAST_").lower(): value for name, value in _without_urls(config)})
    for pod in pods(manifests).values():
        assert f"## rowcast {container(pod)['args'][0]}\n" in commands


def _without_urls(config: Manifest) -> list[tuple[str, str]]:
    return [(name, value) for name, value in config["data"].items() if not name.endswith("TRACKING_URL")]


def test_what_pods_refer_to_is_there(manifests):
    configs = {each["metadata"]["name"] for each in of(manifests, "ConfigMap")}
    made = {each["metadata"]["name"]: set(each["data"]) for each in of(manifests, "Secret")}
    for pod in pods(manifests).values():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert {mount["name"] for mount in container(pod)["volumeMounts"]} == set(volumes)
        for reference in container(pod).get("envFrom", []):
            assert reference["configMapRef"]["name"] in configs
        if "secrets" in volumes:
            secret = volumes["secrets"]["secret"]["secretName"]
            assert made.get(secret, SECRETS if secret == "rowcast" else None) == SECRETS
        assert pod["spec"]["enableServiceLinks"] is False  # ROWCAST_PORT would be the address of a service


def test_pods_may_do_nothing_that_they_need_not(manifests):
    for pod in pods(manifests).values():
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container(pod)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container(pod)["resources"]) == {"requests", "limits"}


def test_the_grace_of_a_pod_is_longer_than_what_it_is_for(manifests):
    drain = Settings.model_fields["drain_seconds"].default
    for name in ("api", "worker"):
        pod = pods(manifests)[name]
        pause = container(pod).get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "0"])[1]
        assert pod["spec"]["terminationGracePeriodSeconds"] > drain + int(pause)


def test_first_comes_all_that_the_migration_needs(manifests):
    first = [each for each in manifests if each["metadata"].get("labels", {}).get("stage") == "first"]
    assert {"Namespace", "ServiceAccount", "ConfigMap", "Job"} <= {each["kind"] for each in first}
    assert not {each["kind"] for each in first} & {"Deployment", "HorizontalPodAutoscaler"}
    assert all(each in first for each in of(manifests, "Secret", "ConfigMap"))


def test_the_autoscalers_read_figures_that_there_are(production):
    measured = (ROOT / "src/rowcast/entrypoints/exposition.py").read_text()
    for scaler in of(production, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        deployment = named(production, target["kind"], target["name"])
        assert "replicas" not in deployment["spec"]
        for metric in scaler["spec"]["metrics"]:
            if metric["type"] == "External":
                wanted = metric["external"]["metric"]
                assert f'"{wanted["name"]}"' in measured
                assert '["lane", "state"]' in measured
                assert _values(wanted["selector"]) <= {"queued", *LANES}
                assert f'__name__="{wanted["name"]}"' in _adapter()["rules"]["external"][0]["seriesQuery"]
            else:
                assert (
                    metric["resource"]["name"] in container(pods(production)[target["name"]])["resources"]["requests"]
                )


def _values(selector: dict[str, Any]) -> set[str]:
    """What its labels are compared with, which have to be those of the figure."""
    expressions = selector.get("matchExpressions", [])
    assert {*selector["matchLabels"], *(one["key"] for one in expressions)} <= {"lane", "state"}
    return {*selector["matchLabels"].values(), *(value for one in expressions for value in one["values"])}


def _adapter() -> dict[str, Any]:
    return yaml.safe_load((KUBERNETES / "overlays/production/prometheus-adapter.yaml").read_text())


def test_with_the_component_for_ray_workers_find_the_head_and_nobody_else_does(tmp_path):
    shutil.copytree(KUBERNETES, tmp_path / "kubernetes", ignore=shutil.ignore_patterns("secrets"))
    overlay = tmp_path / "kubernetes/overlays/rayed"
    overlay.mkdir()
    kustomization = {"namespace": "rowcast", "resources": ["../production"], "components": ["../../components/ray"]}
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    done = subprocess.run(["kubectl", "kustomize", str(overlay)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    manifests = list(yaml.safe_load_all(done.stdout))

    (cluster,) = of(manifests, "RayCluster")
    settings = named_start(manifests, "ConfigMap", "rowcast")["data"]
    assert settings["ROWCAST_COMPUTE_URL"] == f"ray://{cluster['metadata']['name']}-head-svc:10001"
    node = cluster["spec"]["workerGroupSpecs"][0]["template"]
    worker = named(manifests, "Deployment", "worker")["spec"]["template"]["spec"]["containers"][0]
    assert worker["image"] == node["spec"]["containers"][0]["image"] == "rowcast-ray"
    assert int(settings["ROWCAST_THREADS"]) <= int(node["spec"]["containers"][0]["resources"]["requests"]["cpu"])
    policy = named(manifests, "NetworkPolicy", "ray")["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= node["metadata"]["labels"].items()
    called = [peer["from"][0]["podSelector"]["matchLabels"] for peer in policy["ingress"]]
    assert [labels["app.kubernetes.io/component"] for labels in called] == ["ray", "worker"]
