"""``python -m tools.deploy_schemas``: write what ``deploy/verify`` keeps of other projects anew."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tools.deploy_schemas.core import JsonSchema, core_schemas
from tools.deploy_schemas.custom import custom_schemas
from tools.deploy_schemas.fetch import KUBERNETES, OPENAPI, FetchFailed, fetch_definitions, module_folder
from tools.setup.command import ROOT

HOME = ROOT / "deploy" / "verify"
DEFINITIONS, SCHEMAS, POM = HOME / "crds", HOME / "schemas", HOME / "strimzi" / "pom.xml"


def main() -> int:
    """Fetch, replace both folders and return 0; return 1 after one clear line, with the folders untouched."""
    with tempfile.TemporaryDirectory(prefix="steadyline-schemas-") as folder:
        work = Path(folder)
        try:
            fetch_definitions(work / "crds", POM, work)
            openapi = module_folder(KUBERNETES, work) / OPENAPI
        except FetchFailed as error:
            print(f"deploy-schemas: {error}", file=sys.stderr)
            return 1
        shutil.rmtree(DEFINITIONS, ignore_errors=True)
        shutil.copytree(work / "crds", DEFINITIONS)
        shutil.rmtree(SCHEMAS, ignore_errors=True)
        write(SCHEMAS / "core", core_schemas(openapi))
    write(SCHEMAS, custom_schemas(sorted(DEFINITIONS.rglob("*.yaml"))))
    print(f"wrote {DEFINITIONS.relative_to(ROOT)} and {SCHEMAS.relative_to(ROOT)}")
    return 0


def write(folder: Path, schemas: Iterable[tuple[str, JsonSchema]]) -> None:
    """Write each schema under its name, on one line."""
    for name, schema in schemas:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
