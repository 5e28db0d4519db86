"""The commented system file that `aiops init` writes.

What its keys mean to the code is `systems`; the comments for people stand in `templates/system.yaml`.
"""

from pathlib import Path

from aiops_pipelines.project import Project
from aiops_pipelines.systems import System, SystemFileError, load_system

TEMPLATE = Path(__file__).with_name("templates") / "system.yaml"


def write_system_file(project: Project, name: str) -> tuple[Path, System]:
    """Write a new system's file and return its path and the system; nothing else is made.

    Raises:
        SystemFileError: the name cannot be used, or there is such a file already.
    """
    file = project.systems / f"{name}.yaml"
    if not name.replace("-", "").replace("_", "").isalnum():
        raise SystemFileError(
            f"{name!r} cannot be a system's name; use one such as support or staff-handbook."
        )
    project.systems.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as handle:
            handle.write(TEMPLATE.read_text(encoding="utf-8").replace("NAME", name))
    except FileExistsError as error:
        raise SystemFileError(f"{file} is there already; edit it, or choose another name.") from error
    try:
        return file, load_system(file, project.data)
    except SystemFileError as error:
        file.unlink()
        hint = "use lower-case letters, digits, - and _, a letter first, 40 at most"
        raise SystemFileError(f"{name!r} cannot be a system's name; {hint}.") from error
