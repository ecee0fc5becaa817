"""A stand-in for Label Studio in a container of its own: one project with three annotated tasks."""

from tests.support import recorded
from tests.support.label_studio_server import LabelStudioServer

PROJECT = 47


def main() -> None:
    request = recorded.body("predict_json_inline")
    server = LabelStudioServer(("0.0.0.0", 8080))
    server.configs[PROJECT] = request["label_config"]
    for task in request["tasks"]:
        server.add_task(PROJECT, task["data"], recorded.regions(*recorded.DRAWN))
    with server:
        server.stopping.wait()


if __name__ == "__main__":
    main()
