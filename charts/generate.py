"""Writes charts/refit/templates from manifests/ and crds/; `make generate` calls it.

A template is its manifest with some places exchanged: every `refit-system` becomes the release's
namespace, and the tables below say which leaf takes its value from which key of values.yaml. Places
are found by the YAML parser and exchanged in the text, so comments and order stay as they are.
The one template that is none, audit-keys.yml, makes a Secret: manifests hold no secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic.alias_generators import to_camel

from refit.shell.settings import Settings

CHARTS = Path(__file__).parent
TEMPLATES = CHARTS / "refit" / "templates"
MANIFESTS = CHARTS.parent / "manifests"
CRDS = CHARTS.parent / "crds"

NAMESPACE = "refit-system"
"""The namespace of the plain manifests."""
ELSEWHERE = frozenset(
    {
        "trainer_image",
        "predictor_image",
        "monitor_image",
        "report_image",
        "tracking_uri",
        "collector_url",
        "prometheus_url",
        "audit_database",
        "audit_database_password_file",
        "audit_keys",
        "notify_folder",
        "notify_outbox",
        "audit_checkpoint_copy",
        "identity",
        "kubeconfig",
        "context",
    }
)
"""Settings that are no key of `settings`: images and what runs beside have keys of their own, a pod has no kubeconfig."""

Step = str | int


class ChartError(Exception):
    """A table names a place that the manifest does not have, or a text that Helm would misread."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One exchange: the text between two offsets."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """The scalar at this place becomes the expression."""

    at: tuple[Step, ...]
    expression: str

    def edit(self, documents: list[yaml.Node]) -> Edit:
        node = value_at(documents, self.at)
        return Edit(start=node.start_mark.index, end=end_of(node), text=f"{{{{ {self.expression} }}}}")


@dataclass(frozen=True, kw_only=True)
class Longer:
    """The scalar at this place, and behind it this text."""

    at: tuple[Step, ...]
    text: str

    def edit(self, documents: list[yaml.Node]) -> Edit:
        end = end_of(value_at(documents, self.at))
        return Edit(start=end, end=end, text=self.text)


@dataclass(frozen=True, kw_only=True)
class Block:
    """The mapping at this place becomes what stands under a key of values.yaml."""

    at: tuple[Step, ...]
    values: str

    def edit(self, documents: list[yaml.Node]) -> Edit:
        key, node = entry_at(documents, self.at)
        text = f": {{{{- toYaml .Values.{self.values} | nindent {node.start_mark.column} }}}}"
        return Edit(start=key.end_mark.index, end=end_of(node), text=text)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The key and its value become this text."""

    at: tuple[Step, ...]
    text: str

    def edit(self, documents: list[yaml.Node]) -> Edit:
        key, node = entry_at(documents, self.at)
        return Edit(start=key.start_mark.index, end=end_of(node), text=self.text)


@dataclass(frozen=True, kw_only=True)
class Added:
    """Lines that the manifest does not have, at the beginning of the mapping or list at this place."""

    at: tuple[Step, ...]
    lines: tuple[str, ...]

    def edit(self, documents: list[yaml.Node]) -> Edit:
        mark = value_at(documents, self.at).start_mark
        text = "".join(f"{line}\n{' ' * mark.column}" for line in self.lines)
        return Edit(start=mark.index, end=mark.index, text=text)


Change = Leaf | Longer | Block | Entry | Added


def optional(at: tuple[Step, ...], name: str, values: str, expression: str) -> Added:
    """An entry that is there only if its value is set."""
    return only_with(at, values, f"{name}: {expression}")


def only_with(at: tuple[Step, ...], values: str, *lines: str) -> Added:
    """Lines that are there only if this value is set, which is their dot."""
    return Added(at=at, lines=(f"{{{{- with .Values.{values} }}}}", *lines, "{{- end }}"))


def image(name: str) -> str:
    """The image of that part; without one nothing is installed."""
    return f'required "images.{name}: name the image by digest: registry/refit-{name}@sha256:..." .Values.images.{name}'


TRACKING_URI = (
    ".Values.mlflow.trackingUri"
    ' | default (.Values.mlflow.enabled | ternary (printf "http://mlflow.%s.svc:5000" .Release.Namespace) "")'
    ' | required "mlflow.trackingUri: needed when mlflow.enabled is false" | quote'
)
COLLECTOR_URL = (
    ".Values.collector.url"
    ' | default (.Values.collector.enabled | ternary (printf "http://refit-collector.%s.svc:8080" .Release.Namespace) "")'
    " | quote"
)
IDENTITY = 'printf "system:serviceaccount:%s:refit-operator" .Release.Namespace | quote'
BACKEND_STORE = (
    "{{- with .Values.mlflow.backendStoreUri.secretName }}\n"
    "              valueFrom:\n"
    "                secretKeyRef:\n"
    "                  name: {{ . }}\n"
    "                  key: {{ $.Values.mlflow.backendStoreUri.secretKey }}\n"
    "              {{- else }}\n"
    "              value: sqlite:////data/mlflow.db\n"
    "              {{- end }}"
)
# A pod reads its settings once, so it has to be another pod when they change.
CHECKSUM = (
    "annotations:",
    '  refit.dev/settings: {{ include (print $.Template.BasePath "/settings.yaml") . | sha256sum }}',
)
KEPT = ("annotations:", "  helm.sh/resource-policy: keep")
INTAKE_PORT = "ternary 8443 8090 (not (empty .Values.intake.tls.secretName))"
CLIENT_CA = "intake.tls.clientCaSecretName"
PULL_SECRETS = ("imagePullSecrets", "imagePullSecrets", "{{- toYaml . | nindent 8 }}")
POD: tuple[Step, ...] = ("spec", "template", "spec")


def settings() -> tuple[Change, ...]:
    """A line for each setting that has a key in values.yaml."""
    found: list[Change] = []
    for name in Settings.model_fields:
        if name in ELSEWHERE | {"log_level"}:
            continue
        value = '{{ join "," . | quote }}' if name == "namespaces" else "{{ . | quote }}"
        found.append(optional((0, "data"), f"REFIT_{name.upper()}", f"settings.{to_camel(name)}", value))
    return tuple(found)


def needs(value: str, because_of: str) -> str:
    """Renders to nothing; without the first value the second is refused."""
    return f'{{{{- $_ := required "{value}: needed with {because_of}" $.Values.{value} }}}}'


def intake_tls_settings() -> tuple[Change, ...]:
    """As manifests/intake-tls and manifests/intake-mtls have them, and what only the chart knows."""
    at = (0, "data")
    return (
        only_with(
            at,
            "intake.tls.secretName",
            "REFIT_INTAKE_TLS_CERT: /etc/refit/intake-tls/tls.crt",
            "REFIT_INTAKE_TLS_KEY: /etc/refit/intake-tls/tls.key",
        ),
        only_with(
            at,
            CLIENT_CA,
            needs("intake.tls.secretName", CLIENT_CA),
            "REFIT_INTAKE_TLS_CLIENT_CA: /etc/refit/intake-client-ca/ca.crt",
        ),
        only_with(
            at,
            "intake.tls.clientNames",
            needs(CLIENT_CA, "intake.tls.clientNames"),
            'REFIT_INTAKE_TLS_CLIENT_NAMES: {{ join "," . | quote }}',
        ),
        only_with(
            at, "intake.tls.strict", needs(CLIENT_CA, "intake.tls.strict"), "REFIT_INTAKE_STRICT: {{ . | quote }}"
        ),
    )


def intake_tls_files() -> tuple[Change, ...]:
    mounts: tuple[Step, ...] = (0, *POD, "containers", 0, "volumeMounts")
    volumes: tuple[Step, ...] = (0, *POD, "volumes")
    found: list[Change] = []
    for name, values in (("intake-tls", "intake.tls.secretName"), ("intake-client-ca", CLIENT_CA)):
        found.append(
            only_with(mounts, values, f"- name: {name}", f"  mountPath: /etc/refit/{name}", "  readOnly: true")
        )
        items = ("    items: [{key: ca.crt, path: ca.crt}]",) if values == CLIENT_CA else ()
        found.append(only_with(volumes, values, f"- name: {name}", "  secret:", "    secretName: {{ . }}", *items))
    return tuple(found)


CHANGES: dict[str, tuple[Change, ...]] = {
    "rbac.yaml": (),
    "roles.yaml": (),
    "guard.yaml": (),
    "audit.yaml": (),
    "settings.yaml": (
        Leaf(at=(0, "data", "REFIT_TRAINER_IMAGE"), expression=f"{image('trainer')} | quote"),
        Leaf(at=(0, "data", "REFIT_PREDICTOR_IMAGE"), expression=f"{image('predictor')} | quote"),
        Leaf(at=(0, "data", "REFIT_MONITOR_IMAGE"), expression=f"{image('monitor')} | quote"),
        Leaf(at=(0, "data", "REFIT_TRACKING_URI"), expression=TRACKING_URI),
        Leaf(at=(0, "data", "REFIT_COLLECTOR_URL"), expression=COLLECTOR_URL),
        Leaf(at=(0, "data", "REFIT_IDENTITY"), expression=IDENTITY),
        optional((0, "data"), "REFIT_REPORT_IMAGE", "images.report", "{{ . | quote }}"),
        optional((0, "data"), "REFIT_PROMETHEUS_URL", "prometheus.url", "{{ . | quote }}"),
        optional((0, "data"), "REFIT_AUDIT_DATABASE", "audit.database", "{{ . | quote }}"),
        optional(
            (0, "data"), "REFIT_AUDIT_DATABASE_PASSWORD_FILE", "audit.database", "/etc/refit/audit-database/password"
        ),
        optional((0, "data"), "REFIT_AUDIT_CHECKPOINT_COPY", "audit.checkpointCopy", "{{ . | quote }}"),
        *intake_tls_settings(),
        Leaf(at=(0, "data", "REFIT_LOG_LEVEL"), expression='.Values.settings.logLevel | default "INFO" | quote'),
        *settings(),
    ),
    "operator.yaml": (
        Added(at=(0, "spec", "template", "metadata"), lines=CHECKSUM),
        optional((0, *POD), *PULL_SECRETS),
        Leaf(at=(0, *POD, "containers", 0, "image"), expression=f"{image('operator')} | quote"),
        Leaf(
            at=(0, *POD, "containers", 0, "ports", 0, "containerPort"),
            expression=".Values.settings.httpPort | default 8080",
        ),
        Leaf(at=(0, *POD, "containers", 0, "ports", 1, "containerPort"), expression=INTAKE_PORT),
        Block(at=(0, *POD, "containers", 0, "resources"), values="operator.resources"),
        *intake_tls_files(),
        Leaf(at=(0, *POD, "volumes", 1, "secret", "secretName"), expression=".Values.intake.secretName"),
        Leaf(at=(0, *POD, "volumes", 2, "secret", "secretName"), expression=".Values.audit.keysSecretName"),
        Leaf(at=(0, *POD, "volumes", 3, "secret", "secretName"), expression=".Values.audit.databaseSecretName"),
        Leaf(at=(0, *POD, "volumes", 4, "secret", "secretName"), expression=".Values.notifications.secretName"),
        Leaf(at=(1, "spec", "ports", 1, "port"), expression=INTAKE_PORT),
        Added(at=(2, "metadata"), lines=KEPT),
        optional((2, "spec"), "storageClassName", "operator.storage.className", "{{ . }}"),
        Leaf(at=(2, "spec", "resources", "requests", "storage"), expression=".Values.operator.storage.size"),
    ),
    "mlflow.yaml": (
        Added(at=(0, "metadata"), lines=KEPT),  # the models are on it
        optional((0, "spec"), "storageClassName", "mlflow.storage.className", "{{ . }}"),
        Leaf(at=(0, "spec", "resources", "requests", "storage"), expression=".Values.mlflow.storage.size"),
        optional((1, *POD), *PULL_SECRETS),
        Leaf(at=(1, *POD, "containers", 0, "image"), expression=f"{image('mlflow')} | quote"),
        Longer(
            at=(1, *POD, "containers", 0, "args", 5),
            text="{{ range .Values.mlflow.allowedHosts }},{{ . }},{{ . }}:*{{ end }}",
        ),
        Entry(at=(1, *POD, "containers", 0, "env", 0, "value"), text=BACKEND_STORE),
        Block(at=(1, *POD, "containers", 0, "resources"), values="mlflow.resources"),
    ),
    "collector.yaml": (
        Added(at=(3, "metadata"), lines=KEPT),  # what was predicted is on it
        optional((3, "spec"), "storageClassName", "collector.storage.className", "{{ . }}"),
        Leaf(at=(3, "spec", "resources", "requests", "storage"), expression=".Values.collector.storage.size"),
        optional((4, *POD), *PULL_SECRETS),
        Leaf(at=(4, *POD, "containers", 0, "image"), expression=f"{image('monitor')} | quote"),
        Leaf(
            at=(4, *POD, "containers", 0, "env", 2, "value"),
            expression=".Values.collector.retentionHours | int64 | quote",
        ),
        Leaf(at=(4, *POD, "containers", 0, "env", 3, "value"), expression=".Values.collector.maxBytes | int64 | quote"),
        Block(at=(4, *POD, "containers", 0, "resources"), values="collector.resources"),
    ),
    "ui.yaml": (
        optional((1, *POD), *PULL_SECRETS),
        Leaf(at=(1, *POD, "containers", 0, "image"), expression=f"{image('ui')} | quote"),
        Leaf(at=(1, *POD, "containers", 0, "env", 0, "value"), expression=TRACKING_URI),
        Leaf(at=(1, *POD, "containers", 0, "env", 1, "value"), expression=".Values.prometheus.url | quote"),
        Leaf(
            at=(1, *POD, "containers", 0, "env", 2, "value"),
            expression='join "," (.Values.settings.namespaces | default list) | quote',
        ),
        Leaf(
            at=(1, *POD, "containers", 0, "env", 3, "value"),
            expression='.Values.settings.clusterName | default "" | quote',
        ),
        Leaf(at=(1, *POD, "containers", 0, "env", 5, "value"), expression=COLLECTOR_URL),
        Block(at=(1, *POD, "containers", 0, "resources"), values="ui.resources"),
        Leaf(at=(1, *POD, "volumes", 1, "secret", "secretName"), expression=".Values.ui.secretName"),
    ),
}
MONITORING = ("prometheusrule.yaml", "monitors.yaml")
"""Manifests in a folder of their own, of kinds that only the Prometheus operator brings."""
DASHBOARDS = "dashboards-grafana.yaml"
MONITORED = (
    'or (eq .Values.monitoring.objects "Always")'
    ' (and (eq .Values.monitoring.objects "Auto") (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1"))'
)
SELECTED = ("{{- with .Values.monitoring.labels }}", "{{- toYaml . | nindent 4 }}", "{{- end }}")
SWITCHES = {"mlflow.yaml": "mlflow.enabled", "collector.yaml": "collector.enabled", "ui.yaml": "ui.enabled"}
"""Manifests that are installed only if this value is true."""


def render() -> dict[str, str]:
    """File name -> text of each generated template."""
    found = {}
    for name, changes in CHANGES.items():
        text = template((MANIFESTS / name).read_text(encoding="utf-8"), changes)
        found[name] = _headed(f"manifests/{name}", _switched(text, SWITCHES.get(name)))
    for name in MONITORING:
        text = _quoted((MANIFESTS / "monitoring" / name).read_text(encoding="utf-8"))
        text = template(text, tuple(_monitoring(text)), quoted=True)
        found[name] = _headed(f"manifests/monitoring/{name}", f"{{{{- if {MONITORED} }}}}\n{text}{{{{- end }}}}\n")
    dashboards = template(_quoted((MANIFESTS / "monitoring" / DASHBOARDS).read_text(encoding="utf-8")), (), quoted=True)
    found[DASHBOARDS] = _headed(f"manifests/monitoring/{DASHBOARDS}", _switched(dashboards, "monitoring.dashboards"))
    for path in sorted(CRDS.glob("*.yaml")):
        text = path.read_text(encoding="utf-8").split("\n", 1)[1]  # without its own "Generated from"
        kept = template(text, (Added(at=(0, "metadata"), lines=KEPT),))
        found[f"crd-{path.name}"] = _headed(f"crds/{path.name}", _switched(kept, "crds.install"))
    return found


def _monitoring(text: str) -> Iterator[Change]:
    """The labels by which a Prometheus selects its objects, and where the pages of alerts are."""
    for number, document in enumerate(yaml.safe_load_all(text)):
        yield Added(at=(number, "metadata", "labels"), lines=SELECTED)
        for place, group in enumerate(document["spec"].get("groups", ())):
            for rule, each in enumerate(group["rules"]):
                if "alert" in each:
                    at = (number, "spec", "groups", place, "rules", rule, "annotations", "runbook_url")
                    page = each["annotations"]["runbook_url"].rpartition("/")[2]
                    yield Leaf(at=at, expression=f'printf "%s/{page}" .Values.monitoring.runbooks | quote')


def _quoted(text: str) -> str:
    """The same text, with what Prometheus fills in kept from Helm."""
    return re.sub(r"\{\{|\}\}", lambda found: f"{{{{ `{found[0]}` }}}}", text)


def template(manifest: str, changes: tuple[Change, ...], *, quoted: bool = False) -> str:
    """The manifest with all changes made, and the release's namespace for that of the manifests."""
    if "{{" in manifest and not quoted:
        raise ChartError("the manifest holds {{, which Helm would read as its own")
    documents = list(yaml.compose_all(manifest))
    edits = sorted((change.edit(documents) for change in changes), key=lambda edit: edit.start)
    for edit in reversed(edits):  # from the end, so that the other offsets stay true
        manifest = manifest[: edit.start] + edit.text + manifest[edit.end :]
    return manifest.replace(NAMESPACE, "{{ .Release.Namespace }}")


def _switched(text: str, switch: str | None) -> str:
    return text if switch is None else f"{{{{- if .Values.{switch} }}}}\n{text}{{{{- end }}}}\n"


def _headed(source: str, text: str) -> str:
    return f"{{{{- /* Generated from {source} by `make generate`; do not edit. */}}}}\n{text}"


def value_at(documents: list[yaml.Node], at: tuple[Step, ...]) -> yaml.Node:
    """The node at that place; the first step is the number of the document."""
    node = documents[int(at[0])]
    for step in at[1:]:
        node = node.value[step] if isinstance(step, int) else _entry(node, step, at)[1]
    return node


def entry_at(documents: list[yaml.Node], at: tuple[Step, ...]) -> tuple[yaml.Node, yaml.Node]:
    """Key and value at that place, which ends in a name."""
    return _entry(value_at(documents, at[:-1]), str(at[-1]), at)


def _entry(node: yaml.Node, name: str, at: tuple[Step, ...]) -> tuple[yaml.Node, yaml.Node]:
    for key, value in node.value:
        if key.value == name:
            return key, value
    raise ChartError(f"no {name} at {'.'.join(str(step) for step in at)}")


def end_of(node: yaml.Node) -> int:
    """Where the node's text ends; the parser's own mark of a block lies behind blanks and comments."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        last = node.value[-1]
        return end_of(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


if __name__ == "__main__":
    for name, text in render().items():
        (TEMPLATES / name).write_text(text, encoding="utf-8")
