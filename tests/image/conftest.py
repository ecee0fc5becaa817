import os
from collections.abc import Iterator

import pytest

from tests.support.image.engine import Engine
from tests.support.image.stack import Stack


@pytest.fixture(scope="session")
def engine() -> Engine:
    engine = Engine.find(os.environ.get("IMAGE_BUILD_OPTIONS", ""))
    assert engine, "neither Docker nor Podman with Buildah works here: run .ci/container-engine as root"
    return engine


@pytest.fixture(scope="session")
def build(engine: Engine) -> str:
    """What the build of the image printed."""
    return engine.build_image()


@pytest.fixture(scope="session")
def stack(engine: Engine, build: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The service by itself, with a stand-in for Label Studio beside it."""
    del build  # only its image is wanted
    with Stack(engine, tmp_path_factory.mktemp("stack"), "segmenter-test") as stack:
        stack.wait()
        yield stack
