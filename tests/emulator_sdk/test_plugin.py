"""The emulator in someone else's project: installed from its own wheel, found by pytest, used by its fixture."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOMEONES_TEST = """
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform

def test_mine(vertex_emulator):
    aiplatform.init(project="mine", location="us-central1", api_endpoint=vertex_emulator.tls_address,
                    credentials=AnonymousCredentials())
    model = aiplatform.Model.upload(display_name="m", serving_container_image_uri="example.com/m:1")
    assert model.version_id == "1"
"""


def test_the_wheel_brings_the_package_its_command_and_its_fixture(tmp_path: Path) -> None:
    wheel = _build(tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (points,) = (archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
        archive.extractall(tmp_path / "site")
    package = ROOT / "vertex_emulator"
    modules = {str(Path("vertex_emulator") / path.relative_to(package)) for path in package.rglob("*.py")}
    assert modules <= names
    assert "vertex_emulator = vertex_emulator.pytest_plugin" in points
    assert "vertex-emulator = vertex_emulator.__main__:main" in points
    project = tmp_path / "project"
    project.mkdir()
    (project / "test_mine.py").write_text(SOMEONES_TEST)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(project), str(project)]
    done = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def _build(tmp_path: Path) -> Path:
    """Build the wheel from a copy: building in place would leave its traces beside the code."""
    import shutil

    source = tmp_path / "source"
    shutil.copytree(
        ROOT / "vertex_emulator", source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    )
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path / "dist"),
        str(source),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    return wheel
