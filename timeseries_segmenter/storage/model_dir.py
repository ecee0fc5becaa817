"""What is wrong with MODEL_DIR that a person can put right: at the start of a service, and for `/ready`."""

import os
import shutil
import tempfile
from pathlib import Path

ROOM = 1 << 16  # bytes that the state of a project may need


def folder_remarks(model_dir: Path) -> list[str]:
    """Sentences for the log; none where models can be kept, and will be found again."""
    remarks = []
    if model_dir.resolve() == Path.cwd():
        remarks.append(
            f"MODEL_DIR={model_dir} is the working directory: models lie among the code, and in a container "
            "they are lost with it; name a folder on a volume"
        )
    if problem := folder_problem(model_dir):
        remarks.append(problem)
    return remarks


def folder_problem(model_dir: Path) -> str | None:
    """Why nothing can be written to a models' folder, and what to do; None where it can."""
    folder = model_dir.absolute()
    beginning = f"MODEL_DIR={model_dir} can't be written, and nothing can be trained:"
    try:
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        for path in (nearest, folder / "training", folder / "versions"):
            if path.exists() and not os.access(path, os.W_OK):
                return f"{beginning} {path} {_whose(path)}"
        if shutil.disk_usage(nearest).free < ROOM:
            return f"{beginning} the disk is full; give it room"
        if nearest == folder:  # where there is none yet, looking should not make it
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(bytes(ROOM))
    except OSError as error:
        return f"{beginning} {error.strerror}; give it room and access rights"
    return None


def _whose(path: Path) -> str:
    owner, user = path.stat().st_uid, os.getuid()
    if owner == user:
        return "is read-only; mount it for writing, or change its mode"
    return (
        f"belongs to user {owner}, and this service runs as user {user}; give it the whole folder, for a "
        f"mounted one on its host: chown -R {user} <folder>"
    )
