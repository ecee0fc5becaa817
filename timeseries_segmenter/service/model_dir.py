"""What is odd about MODEL_DIR when a service starts, which a person can put right."""

import os
from pathlib import Path


def folder_remarks(model_dir: Path) -> list[str]:
    """Sentences for the log; none where models can be kept, and will be found again."""
    folder = model_dir.absolute()
    remarks = []
    if folder.resolve() == Path.cwd():
        remarks.append(
            f"MODEL_DIR={model_dir} is the working directory: models lie among the code, and in a container "
            "they are lost with it; name a folder on a volume"
        )
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    for path in (nearest, folder / "training", folder / "versions"):
        if path.exists() and not os.access(path, os.W_OK):
            owner, user = path.stat().st_uid, os.getuid()
            remarks.append(
                f"MODEL_DIR={model_dir} can't be written, and nothing can be trained: {path} "
                + (
                    "is read-only; mount it for writing, or change its mode"
                    if owner == user
                    else f"belongs to user {owner}, and this service runs as user {user}; give it the whole "
                    f"folder, for a mounted one on its host: chown -R {user} <folder>"
                )
            )
            break
    return remarks
