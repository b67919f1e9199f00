"""The kind node image, for machines that cannot pull one: kind's recipe, our builds, everything preloaded.

Two stages, as kind does it. The Dockerfile of `images/node` makes the root; then a container of it runs containerd to
import the control plane's images, and is committed.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from refit_cluster import engine, images, versions
from refit_cluster.golang import CONTROL_PLANE, COREDNS, ETCD, KIND, KUBERNETES, LOCAL_PATH, module_directory
from refit_cluster.places import Places
from refit_cluster.shell import run

PAUSE = """\
FROM {base} AS build
RUN apt-get update -q && apt-get install -q -y --no-install-recommends gcc libc6-dev
RUN echo '#include <unistd.h>\\nint main(void) {{ for (;;) pause(); }}' > p.c && gcc -static -Os -o /pause p.c
FROM scratch
COPY --from=build /pause /pause
ENTRYPOINT ["/pause"]
"""

START_CONTAINERD = """\
set -e
nohup containerd > /dev/null 2>&1 &
for i in 0 1 2 3 4 5; do [ -S /run/containerd/containerd.sock ] && break; sleep $i; done
ctr version > /dev/null
"""


def image(places: Places) -> str:
    """The node image's tag; builds whatever of it is missing."""
    root = _root(places)
    contents = _contents(places)
    manifest = storage_manifest((_kind_source() / "pkg/build/nodeimage/const_storage.go").read_text())
    tag = f"refit.local/node:{versions.KUBERNETES}-{images.fingerprint(root, *(f'{a}={b}' for a, b in contents.items()), manifest)}"
    if images.exists(tag):
        return tag
    archive = places.build / "node-images.tar"
    archive.parent.mkdir(parents=True, exist_ok=True)
    for name, built in contents.items():
        engine.docker("tag", built, name)
    engine.docker("save", "--output", archive, *contents)
    container = engine.docker("run", "--detach", "--rm", "--privileged", "--entrypoint", "sleep", root, "3600").strip()
    try:
        engine.docker("exec", container, "bash", "-c", START_CONTAINERD)
        ctr = ("docker", "exec", "-i", container, "ctr", "-n", "k8s.io")
        run([*ctr, "images", "import", "--all-platforms", "--no-unpack", "--digests", "-"], feed_from=archive)
        engine.docker(
            "exec",
            container,
            "bash",
            "-c",
            "kill $(pidof containerd); while pidof containerd; do sleep 0.1; done; true",
        )
        _write(container, "/kind/version", versions.KUBERNETES)
        _write(container, "/kind/manifests/default-storage.yaml", manifest)
        # Pod networking is the static CNI configuration; kind insists on applying a manifest, so it gets an empty one.
        _write(
            container,
            "/kind/manifests/default-cni.yaml",
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: static-cni, namespace: kube-system}}\n",
        )
        entrypoint = 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]'
        engine.docker("commit", "--change", entrypoint, container, tag)
    finally:
        engine.docker("rm", "--force", "--volumes", container)
        archive.unlink(missing_ok=True)
    return tag


def _write(container: str, path: str, text: str) -> None:
    run(["docker", "exec", "-i", container, "tee", path], feed=text)


def _kind_source() -> Path:
    return module_directory(KIND.module, KIND.version)


def _root(places: Places) -> str:
    """The files of kind with three adaptations: containerd 1.6's needs, a machine without CAP_SYS_RESOURCE, cgroup v1."""
    staging = images.fresh(places.build / "node-files")
    shutil.copytree(_kind_source() / "images/base/files", staging / "files", copy_function=shutil.copyfile)
    for path in [staging, *staging.rglob("*")]:
        relative = path.relative_to(staging).as_posix()
        program = "/bin/" in relative and path.suffix != ".txt"
        path.chmod(0o755 if path.is_dir() or program else 0o644)
    containerd = staging / "files/etc/containerd/config.toml"
    containerd.write_text(adapted_containerd_config(containerd.read_text()))
    (staging / "files/etc/default/kubelet").write_text(
        "KUBELET_EXTRA_ARGS=--runtime-cgroups=/system.slice/containerd.service --fail-cgroupv1=false\n"
    )
    network = staging / "files/etc/cni/net.d/10-refit.conflist"
    network.parent.mkdir(parents=True)
    shutil.copyfile(images.RECIPES / "node/10-refit.conflist", network)
    made_from = images.fingerprint(staging / "files", KUBERNETES.version)
    files = {path.relative_to(staging).as_posix(): path for path in staging.rglob("*") if path.is_file()}
    files |= {f"bin/{name}": KUBERNETES.binary(places, name) for name in ("kubeadm", "kubelet", "kubectl")}
    return images.of_recipe(places, "node", images.minimal(places), files=files, made_from=made_from)


def adapted_containerd_config(text: str) -> str:
    # The fuse-overlayfs snapshotter is for rootless engines and is not packaged here.
    text = re.sub(r"\[proxy_plugins\]\n(?:.*\n)*?(?=\n)", "", text, count=1)
    return text.replace("restrict_oom_score_adj = false", "restrict_oom_score_adj = true")


def storage_manifest(go_source: str) -> str:
    """The default storage manifest of kind, out of the Go constant that holds it."""
    constants = dict(re.findall(r'^const (\w+) = "([^"]+)"$', go_source, re.MULTILINE))
    body = go_source.split("const defaultStorageManifest = `", 1)[1].rsplit("`", 1)[0]
    return re.sub(r"` \+ (\w+) \+ `", lambda match: constants[match.group(1)], body)


def _storage_image(go_source: str, constant: str) -> str:
    names: list[str] = re.findall(rf'^const {constant} = "([^"]+)"$', go_source, re.MULTILINE)
    return names[0]


def _contents(places: Places) -> dict[str, str]:
    """Image names as kubeadm and kind's manifests call them -> what we built."""
    kubeadm = KUBERNETES.binary(places, "kubeadm")
    listed = run([kubeadm, "config", "images", "list", "--kubernetes-version", versions.KUBERNETES]).split()
    named = {name.rpartition("/")[2].partition(":")[0]: name for name in listed}
    base = images.minimal(places)
    proxy = images.of_recipe(
        places,
        "kube-proxy",
        base,
        files={"program": KUBERNETES.binary(places, "kube-proxy")},
        made_from=KUBERNETES.version,
    )
    pause = _pause(places, base)
    go_source = (_kind_source() / "pkg/build/nodeimage/const_storage.go").read_text()
    sandbox = re.findall(
        r'sandbox_image = "([^"]+)"', (_kind_source() / "images/base/files/etc/containerd/config.toml").read_text()
    )
    return {
        **{named[name]: images.of_binary(places, name, KUBERNETES.binary(places, name)) for name in CONTROL_PLANE},
        named["kube-proxy"]: proxy,
        named["etcd"]: images.of_binary(places, "etcd", ETCD.binary(places, "etcd")),
        named["coredns"]: images.of_binary(places, "coredns", COREDNS.binary(places, "coredns"), entry="/coredns"),
        named["pause"]: pause,
        **dict.fromkeys(sandbox, pause),
        _storage_image(go_source, "storageProvisionerImage"): images.of_binary(
            places, "local-path-provisioner", LOCAL_PATH.binary(places, "local-path-provisioner")
        ),
        _storage_image(go_source, "storageHelperImage"): images.of_recipe(places, "local-path-helper", base),
    }


def _pause(places: Places, base: str) -> str:
    dockerfile = PAUSE.format(base=base)
    tag = f"refit.local/pause:{images.fingerprint(dockerfile)}"
    if not images.exists(tag):
        context = images.fresh(places.build / "image-pause")
        (context / "Dockerfile").write_text(dockerfile)
        images.build(tag, context, {})
        shutil.rmtree(context)
    return tag
