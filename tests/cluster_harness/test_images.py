"""Project images: what a Dockerfile needs, what decides that it is built again, and which builds are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from refit_cluster import kind, projectimages, recipes, versions
from refit_cluster.places import Places
from refit_cluster.projectimages import Build
from refit_cluster.shell import HarnessError

DOCKERFILE = """\
ARG BASE=docker.io/library/python:3.11-slim
# COPY nothing from a comment
FROM ${BASE} AS build
COPY pyproject.toml requirements.lock /src/
COPY --chown=1:1 \\
     operator/refit/api \\
     /opt/refit/api
ADD https://host.example/x.tar /x.tar
FROM ${BASE}
COPY --from=build /opt /opt
COPY ["a folder/with spaces", "/b"]
copy ./scripts /scripts
"""


def test_an_image_needs_what_it_copies_from_the_context() -> None:
    assert recipes.copied(DOCKERFILE) == (
        "pyproject.toml",
        "requirements.lock",
        "operator/refit/api",
        "a folder/with spaces",
        "scripts",
    )


@pytest.mark.parametrize(
    ("dockerfile", "expected"),
    [
        pytest.param(DOCKERFILE, ("build",), id="all that have a name, but the last"),
        pytest.param("FROM a AS only\n", (), id="one stage is the image itself"),
        pytest.param("FROM a AS x\nFROM x\nFROM b AS y\nFROM y AS z\n", ("x", "y"), id="in their order"),
    ],
)
def test_stages(dockerfile: str, expected: tuple[str, ...]) -> None:
    assert recipes.stages(dockerfile) == expected


def test_only_images_with_a_dockerfile_are_built(tmp_path: Path) -> None:
    for folder in ("operator", "trainer_image"):
        (tmp_path / folder).mkdir()
    (tmp_path / "operator" / "Dockerfile").touch()
    assert projectimages.chosen([], tmp_path) == ("operator",)
    with pytest.raises(HarnessError, match="no Dockerfile for trainer; there are: operator"):
        projectimages.chosen(["trainer"], tmp_path)


def made_from(context: Path, files: dict[str, str], dockerfile: str = "FROM a", base: str = "b") -> str:
    for name, text in files.items():
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(text)
    return Build("operator", dockerfile, context, base, "localhost:5001").made_from()


@pytest.mark.parametrize(
    ("files", "dockerfile", "base", "same"),
    [
        pytest.param({"a/x": "1"}, "FROM a", "b", True, id="nothing else is the same image"),
        pytest.param({"a/x": "2"}, "FROM a", "b", False, id="another content"),
        pytest.param({"b/x": "1"}, "FROM a", "b", False, id="the same file in another folder"),
        pytest.param({"a/x": "1", "a/y": ""}, "FROM a", "b", False, id="one more file"),
        pytest.param({"a/x": "1"}, "FROM a\nUSER 1", "b", False, id="another recipe"),
        pytest.param({"a/x": "1"}, "FROM a", "c", False, id="another base"),
    ],
)
def test_what_an_image_is_made_from(
    tmp_path: Path, files: dict[str, str], dockerfile: str, base: str, same: bool
) -> None:
    first = made_from(tmp_path / "first", {"a/x": "1"})
    assert (made_from(tmp_path / "second", files, dockerfile, base) == first) is same


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        pytest.param((), (), id="none"),
        pytest.param(("20261121-100000-a",), ("20261121-100000-a",), id="the only one"),
        pytest.param(
            ("20261121-100000-a", "20261122-100000-b", "20261120-100000-c"),
            ("20261122-100000-b", "20261121-100000-a"),
            id="the two newest by their time, not by their order",
        ),
        pytest.param(
            ("latest", "in-use-0123456789ab", "20261121-100000-a"), ("20261121-100000-a",), id="no tag without a time"
        ),
    ],
)
def test_builds_worth_keeping(tags: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert projectimages.newest(tags) == expected


def test_what_was_deployed_and_what_is_newest_stay_in_the_registry(tmp_path: Path) -> None:
    places = Places(tmp_path)
    assert projectimages.in_use(places) == frozenset()
    places.state.mkdir()
    (places.state / "values.json").write_text('{"images": {"operator": "r/refit-operator@sha256:1"}}')
    places.images.write_text('{"operator": "r/refit-operator@sha256:2", "trainer": "r/refit-trainer@sha256:3"}')
    assert projectimages.in_use(places) == {"sha256:1", "sha256:2", "sha256:3"}


LISTED = """\
REF                          TYPE        DIGEST   SIZE     PLATFORMS   LABELS
localhost:5001/refit-ui@d1   m           d1       1.0 MiB  linux/amd64 managed
localhost:5001/refit-ui@d2   m           d2       1.0 MiB  linux/amd64 managed
localhost:5001/refit-uix@d3  m           d3       1.0 MiB  linux/amd64 managed
registry.k8s.io/pause:3      m           d4       1.0 MiB  linux/amd64 managed
sha256:c1                    m           d1       1.0 MiB  linux/amd64 managed
sha256:c2                    m           d2       1.0 MiB  linux/amd64 managed
"""


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        pytest.param({"d2"}, ("localhost:5001/refit-ui@d1", "sha256:c1"), id="by both of their names"),
        pytest.param({"d1", "d2"}, (), id="none of those in use"),
    ],
)
def test_images_that_the_node_need_not_keep(keep: set[str], expected: tuple[str, ...]) -> None:
    assert kind.references_to_others(LISTED, "localhost:5001/refit-ui", frozenset(keep)) == expected


def test_the_base_that_is_tried_is_the_one_that_the_dockerfiles_name() -> None:
    root = Path(__file__).parents[2]
    named = {
        line
        for folder in map(projectimages.FOLDERS.__getitem__, projectimages.buildable(root))
        for line in (root / folder / "Dockerfile").read_text().splitlines()
        if line.startswith("ARG BASE=")
    }
    assert named == {f"ARG BASE={versions.PYTHON_IMAGE}"}
