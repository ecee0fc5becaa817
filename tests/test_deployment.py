"""The compose file, as far as it can be checked without an engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from timeseries_segmenter.settings import Settings

ROOT = Path(__file__).parents[1]
NOT_IN_A_CONTAINER = {"HOST"}  # gunicorn listens on all addresses there
PLACEHOLDER = re.compile(r"\$\{(\w+):-([^}]*)\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return content


@pytest.fixture(scope="module")
def service(compose: dict[str, Any]) -> dict[str, Any]:
    services: list[dict[str, Any]] = list(compose["services"].values())
    (service,) = [service for service in services if "build" in service]
    return service


def test_the_compose_file_names_every_setting(service: dict[str, Any]) -> None:
    names = {name.upper() for name in Settings.model_fields} - NOT_IN_A_CONTAINER
    assert set(service["environment"]) == names


def test_the_compose_files_defaults_are_the_services_own(service: dict[str, Any]) -> None:
    given = {}
    for name, text in service["environment"].items():
        if placeholder := PLACEHOLDER.fullmatch(str(text)):
            assert placeholder[1] == name
            given[name.lower()] = placeholder[2]
    own = {"label_studio_host"}  # "localhost" would be the container itself
    for name, text in given.items():
        if text and name not in own:
            made = Settings.model_validate({name: text})
            assert getattr(made, name) == Settings.model_fields[name].default, name
    empty = [Settings.model_fields[name].default for name, text in given.items() if not text]
    assert [default for default in empty if default not in (None, "", (), SecretStr(""))] == []


def test_the_service_reaches_a_label_studio_on_the_host(service: dict[str, Any]) -> None:
    assert "http://host.docker.internal:8080" in service["environment"]["LABEL_STUDIO_HOST"]
    assert "host.docker.internal:host-gateway" in service["extra_hosts"]


def test_the_build_takes_the_cpu_build_unless_its_index_is_set(service: dict[str, Any]) -> None:
    assert service["build"]["args"] == ["TORCH_INDEX_URL"]  # with a value it would win over the Dockerfile's


def test_models_are_on_a_volume(compose: dict[str, Any], service: dict[str, Any]) -> None:
    (mount,) = service["volumes"]
    volume, folder = mount.split(":")
    assert volume in compose["volumes"]
    assert service["environment"]["MODEL_DIR"].startswith(folder + "/")


def test_the_port_is_published(service: dict[str, Any]) -> None:
    assert service["ports"] == ["9090:9090"]
    assert service["environment"]["PORT"] == 9090


def test_label_studio_gets_the_two_settings_it_needs_for_private_addresses(compose: dict[str, Any]) -> None:
    (studio,) = [
        service for service in compose["services"].values() if "label-studio:" in service.get("image", "")
    ]
    assert studio["image"].endswith("label-studio:1.23.2")
    for name in ("LABEL_STUDIO_ML_BLOCK_LOCAL_IP", "LABEL_STUDIO_SSRF_PROTECTION_ENABLED"):
        assert studio["environment"][name] == "false"
