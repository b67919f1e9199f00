"""What the harness makes of the rules and the scrape configuration that users get; the programs themselves judge it."""

from __future__ import annotations

import os
import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from refit_cluster import monitoring, packages
from refit_cluster.monitoring import Images, Pace
from refit_cluster.packages import Package
from refit_cluster.places import Places
from refit_cluster.shell import HarnessError

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "manifests" / "monitoring"
RULES = yaml.safe_load((SHIPPED / "rules.yaml").read_text())
SCRAPED = yaml.safe_load((SHIPPED / "scrape.yaml").read_text())["scrape_configs"]
BUILT = Images(
    "localhost:5001/refit-prometheus@sha256:a", "localhost:5001/refit-alertmanager@sha256:b", discovers=False
)
TOKEN = "0123456789abcdef"

Tool = Callable[..., str]


def runner(package: Package, name: str) -> Tool:
    try:
        program = packages.program(package, name, Places.from_env(os.environ))
    except HarnessError as error:
        pytest.skip(str(error))

    def run(*arguments: str | Path) -> str:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def promtool() -> Tool:
    return runner(packages.PROMETHEUS, "promtool")


@pytest.fixture
def amtool() -> Tool:
    return runner(packages.ALERTMANAGER, "amtool")


def test_our_prometheus_takes_its_configuration(promtool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(monitoring.prometheus_config(Pace(2), SCRAPED, discovers=False)))
    assert "SUCCESS" in promtool("check", "config", "--syntax-only", path)


def test_our_alertmanager_takes_its_configuration(amtool: Tool) -> None:
    assert "SUCCESS" in amtool("check-config", monitoring.FOLDER / "alertmanager.yml")


@pytest.mark.parametrize(
    "pace", [pytest.param(Pace(2), id="as shipped"), pytest.param(Pace(2, waiting=0), id="in a hurry")]
)
def test_our_prometheus_takes_the_rules(promtool: Tool, tmp_path: Path, pace: Pace) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(monitoring.paced(RULES, pace)))
    assert "SUCCESS" in promtool("check", "rules", path)


def waits(rules: dict[str, Any]) -> set[str]:
    """All times in groups and rules."""
    groups = rules["groups"]
    found = {group["interval"] for group in groups if "interval" in group}
    return found | {
        rule[name] for group in groups for rule in group["rules"] for name in ("for", "keep_firing_for") if name in rule
    }


def test_the_rules_stay_as_shipped_unless_somebody_is_in_a_hurry() -> None:
    assert monitoring.paced(RULES, Pace(2)) == RULES
    assert waits(monitoring.paced(RULES, Pace(2, waiting=3))) == {"3s"}


def test_targets_come_from_kubernetes_or_from_our_discovery_with_the_same_selection() -> None:
    def asked(discovers: bool) -> dict[str, list[Any]]:
        config = monitoring.prometheus_config(Pace(2), SCRAPED, discovers=discovers)
        return {
            job["job_name"]: [each.get("url", each.get("role")) for name in job if "_sd_" in name for each in job[name]]
            for job in config["scrape_configs"]
        }

    assert asked(True) == {
        "refit-operator": ["pod"],
        "refit-collector": ["pod"],
        "refit-predictors": ["pod"],
        "refit-cadvisor": ["node"],
    }
    here = "http://127.0.0.1:9099"
    name = f"{here}/pod?label=app.kubernetes.io%2Fname%3D"
    assert asked(False) == {
        "refit-operator": [f"{name}refit-operator&namespace=refit-system"],
        "refit-collector": [f"{name}refit-collector&namespace=refit-system"],
        "refit-predictors": [f"{here}/pod?label=app.kubernetes.io%2Fmanaged-by%3Drefit%2Crefit.dev%2Frole%3Dpredictor"],
        "refit-cadvisor": [f"{here}/node"],
    }


def containers(images: Images) -> dict[str, str]:
    made = monitoring.objects(images, Pace(), RULES, SCRAPED, TOKEN)
    pods = [each["spec"]["template"]["spec"] for each in made if each["kind"] == "Deployment"]
    return {container["name"]: container["image"] for pod in pods for container in pod["containers"]}


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        pytest.param(
            BUILT,
            {"prometheus": BUILT.prometheus, "discovery": BUILT.prometheus, "alertmanager": BUILT.alertmanager},
            id="a Prometheus that was built without Kubernetes has our discovery beside it",
        ),
        pytest.param(
            Images.published(),
            {
                "prometheus": "docker.io/prom/prometheus:v2.42.0",
                "alertmanager": "docker.io/prom/alertmanager:v0.25.0",
            },
            id="a published one finds its targets itself",
        ),
    ],
)
def test_containers(images: Images, expected: dict[str, str]) -> None:
    assert containers(images) == expected


@pytest.mark.parametrize(
    ("pace", "token", "replaced"),
    [
        pytest.param(Pace(), TOKEN, set(), id="nothing, if nothing changed"),
        pytest.param(Pace(5), TOKEN, {"prometheus"}, id="Prometheus, if its pace did"),
        pytest.param(Pace(waiting=1), TOKEN, {"prometheus"}, id="Prometheus, if its rules did"),
        pytest.param(Pace(), "another", {"prometheus", "alertmanager"}, id="both, if the token did"),
    ],
)
def test_which_pods_are_replaced(pace: Pace, token: str, replaced: set[str]) -> None:
    def templates(pace: Pace, token: str) -> dict[str, Any]:
        made = monitoring.objects(BUILT, pace, RULES, SCRAPED, token)
        return {each["metadata"]["name"]: each["spec"]["template"] for each in made if each["kind"] == "Deployment"}

    before, after = templates(Pace(), TOKEN), templates(pace, token)
    assert {name for name in before if before[name] != after[name]} == replaced


DISCOVERY = runpy.run_path(str(ROOT / "cluster" / "images" / "prometheus" / "discovery.py"))
POD = {
    "metadata": {"name": "heart-1", "namespace": "ml"},
    "status": {"phase": "Running", "podIP": "10.244.0.9"},
    "spec": {
        "containers": [
            {"name": "kserve-container", "ports": [{"containerPort": 8080, "name": "http1"}, {"containerPort": 9}]},
            {"name": "silent"},
        ]
    },
}


def test_discovery_tells_each_port_of_a_pod() -> None:
    starting = {**POD, "status": {"phase": "Pending"}}
    common = {
        "__meta_kubernetes_namespace": "ml",
        "__meta_kubernetes_pod_name": "heart-1",
        "__meta_kubernetes_pod_phase": "Running",
        "__meta_kubernetes_pod_container_name": "kserve-container",
    }
    port = "__meta_kubernetes_pod_container_port"
    assert list(DISCOVERY["pods"]({"items": [POD, starting]})) == [
        {"targets": ["10.244.0.9:8080"], "labels": {**common, f"{port}_name": "http1", f"{port}_number": "8080"}},
        {"targets": ["10.244.0.9:9"], "labels": {**common, f"{port}_name": "", f"{port}_number": "9"}},
    ]


def test_discovery_tells_each_kubelet() -> None:
    addresses = [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "172.18.0.2"}]
    listed = {"items": [{"metadata": {"name": "n1"}, "status": {"addresses": addresses}}]}
    assert list(DISCOVERY["nodes"](listed)) == [
        {"targets": ["172.18.0.2:10250"], "labels": {"__meta_kubernetes_node_name": "n1"}}
    ]


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("/pod", "/api/v1/pods?labelSelector="),
        ("/pod?namespace=ml&label=a%3Db", "/api/v1/namespaces/ml/pods?labelSelector=a%3Db"),
        ("/pod?namespace=..%2Fsecrets", "/api/v1/namespaces/..%2Fsecrets/pods?labelSelector="),
        ("/node", "/api/v1/nodes"),
    ],
)
def test_what_discovery_asks(asked: str, path: str) -> None:
    assert DISCOVERY["path_of"](asked) == path


def test_discovery_answers_nothing_else() -> None:
    with pytest.raises(ValueError, match="no such discovery: /secrets"):
        DISCOVERY["path_of"]("/secrets")


APT = """\
#!/bin/sh
echo "$*" >> {directory}/asked
test "$1" = update && exit 0
test -e {directory}/listed || {{ touch {directory}/listed; echo "E: Unable to locate package" >&2; exit 100; }}
cp {directory}/made.deb prometheus_2.42.0+ds-5_amd64.deb
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt-get of our own on PATH: it knows no package until it is asked a second time, and notes what it was asked."""
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: prometheus\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: none\n"
    )
    (tree / "usr" / "bin").mkdir(parents=True)
    for name in ("prometheus", "promtool"):
        (tree / "usr" / "bin" / name).write_text(name)
    subprocess.run(["dpkg-deb", "--build", tree, tmp_path / "made.deb"], check=True, capture_output=True)
    program = tmp_path / "apt-get"
    program.write_text(APT.format(directory=tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "asked"


def test_a_package_is_unpacked_once_after_the_lists_are_there(tmp_path: Path, apt: Path) -> None:
    places = Places(tmp_path / "cache")
    for _ in range(2):
        packages.unpack(packages.PROMETHEUS, places)
    unpacked = sorted(path.name for path in (tmp_path / "cache" / "bin" / "prometheus-2.42.0").iterdir())
    assert unpacked == ["prometheus", "promtool"]
    asked = "download -q prometheus=2.42.0*"
    assert apt.read_text().splitlines() == [asked, "update -q", asked]
