import re
import tomllib

import pytest
import yaml
from made_workflow import ROOT


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lines):
    """Package -> version from lines such as ``name==1.2``."""
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!+-]+)", line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if match is None]
    return {canonical(match[1]): match[2] for match in found}


def constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return pins([line for line in lines if line.strip() and not line.startswith("#")])


def environment():
    return yaml.safe_load((ROOT / "envs" / "hooknet.yaml").read_text())


def conda_pins():
    return pins(environment()["dependencies"][-1]["pip"])


def dependencies(extra=None):
    """Package -> what pyproject.toml asks of its version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    return {canonical(re.match(r"[A-Za-z0-9._-]+", one)[0]): one for one in listed}


def test_environment_pins_exactly_what_the_package_depends_on():
    assert set(conda_pins()) == set(dependencies())


def test_environment_and_constraints_agree_on_every_version():
    known = constraints()
    assert {name: known.get(name) for name in conda_pins()} == conda_pins()


@pytest.mark.parametrize(
    "extra", [None, "dev", "keras", "onnx", "openvino", "slurm", "cluster", "kubernetes", "aws"]
)
def test_constraints_pin_every_dependency(extra):
    assert set(dependencies(extra)) <= set(constraints())


def test_constraints_are_for_any_machine():
    text = (ROOT / "constraints.txt").read_text()
    assert "/" not in text
    assert "+" not in text


def test_pins_are_within_what_the_package_asks_for():
    wanted = {name: one for name, one in dependencies().items() if re.search(r"[<>=]", one)}
    found = constraints()
    for name, one in wanted.items():
        for sign, version in re.findall(r"(>=|<|==)([0-9.]+)", one):
            mine, asked = (tuple(map(int, re.findall(r"\d+", text))) for text in (found[name], version))
            assert {">=": mine >= asked, "<": mine < asked, "==": mine == asked}[sign], (one, found[name])


def test_channels_need_no_licence():
    assert environment()["channels"] == ["conda-forge", "nodefaults"]


def dockerfile():
    """The instructions of the container's recipe, continued lines joined."""
    lines = (ROOT / "envs" / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    return [line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#")]


def test_the_container_is_built_of_the_constraints_and_of_extras_that_there_are():
    runs = [rest for word, rest in dockerfile() if word == "RUN"]
    (install,) = [rest for rest in runs if "-c constraints.txt" in rest]
    extras = re.search(r'"\.\[([a-z,]+)\]"', install)[1].split(",")
    assert {"slurm", "cluster", "kubernetes", "aws"} <= set(extras)
    for extra in extras:
        assert set(dependencies(extra)) <= set(constraints())
    # Whatever is installed besides is the package itself, without dependencies.
    others = [rest for rest in runs if "pip install" in rest and rest != install]
    assert all("pip install --no-deps ." in rest for rest in others)


def test_the_container_has_the_python_of_the_environment():
    (start,) = [rest for word, rest in dockerfile() if word == "FROM"]
    python = next(one for one in environment()["dependencies"] if str(one).startswith("python="))
    assert start.startswith(f"python:{python.removeprefix('python=')}-slim")


def test_the_container_s_recipe_is_sound():
    known = {"FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "CMD"}
    assert {word for word, _ in dockerfile()} <= known
    for word, rest in dockerfile():
        if word == "COPY":
            *sources, _ = rest.split()
            assert [one for one in sources if not (ROOT / one).exists()] == []
        if word == "RUN":
            assert "sudo" not in rest
            assert "latest" not in rest
        if word == "WORKDIR":
            assert rest.startswith("/")
