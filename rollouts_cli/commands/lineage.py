"""``rollouts lineage``: from a deployed model back to its data, as a tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from rollouts_cli.console import AsJson, printable, reported, say, say_json
from rollouts_cli.lookup import opened_store
from shared.errors import PermanentError
from shared.rollout.observed import DeployedModel, Endpoint, ModelVersion
from shared.wiring import World

Deployed = Annotated[
    str, typer.Argument(help="The id of a deployed model.", metavar="DEPLOYED_MODEL", show_default=False)
]


@dataclass
class Node:
    """One thing that something else came from."""

    kind: str
    name: str
    detail: dict[str, Any] = field(default_factory=dict)
    sources: list[Node] = field(default_factory=list)


def lineage(deployed_model: Deployed, as_json: AsJson = False) -> None:
    """Print where a deployed model came from: endpoint, version, evaluations, training run, artifact, code, data."""
    with reported(as_json), opened_store() as store:
        world = World()
        world.__dict__["store"] = store
        tree = trace(world, deployed_model)
    if as_json:
        say_json(_json(tree))
        return
    for line in draw(tree):
        say(printable(line))


def trace(world: World, deployed_id: str) -> Node:
    """From the endpoints of all policies' regions; PermanentError where none has it."""
    endpoint, deployed = _find(world, deployed_id)
    root = Node("endpoint", str(endpoint.ref), {"share": f"{endpoint.share(deployed_id)} %"})
    machines = f"{deployed.present_replicas} x {deployed.machine_type}"
    model = Node("deployed model", deployed.id, {"machines": machines})
    root.sources.append(model)
    version = world.registry.version(endpoint.ref.project, endpoint.ref.region, deployed.model, deployed.registered)
    if version is None:
        model.sources.append(Node("version", f"{deployed.model}@{deployed.version}", {"note": "no longer registered"}))
    else:
        model.sources.append(_of_version(world, version))
    return root


def _find(world: World, deployed_id: str) -> tuple[Endpoint, DeployedModel]:
    from shared.actions.policies import target_ref

    refs = [target_ref(world, target) for one in world.store.policies() for target in one.policy.targets]
    for project, region in sorted({(r.project, r.region) for r in refs}):
        for endpoint in world.endpoints.list(project, region):
            if found := endpoint.find(deployed_id):
                return endpoint, found
    raise PermanentError(
        f"no endpoint of the policies' regions has a deployed model {deployed_id}; `rollouts get ROLLOUT` shows its id"
    )


def _of_version(world: World, version: ModelVersion) -> Node:
    said = dict(part.split(" ", 1) for part in version.description.split("; ") if " " in part)
    labels = {k: v for k, v in version.labels.items() if not k.startswith("vr-")}
    node = Node("version", f"{version.model}@{version.version}", {"aliases": ",".join(version.aliases), **labels})
    for evaluation in world.registry.evaluations(version):
        metrics = {name: f"{value:.4g}" for name, value in evaluation.metrics.items()}
        node.sources.append(Node("evaluation", evaluation.name.rpartition("/")[2], metrics))
    artifact = Node("artifact", version.artifact_uri) if version.artifact_uri else None
    run = said.get("run") or version.labels.get("vr-run", "")
    if not run:
        node.sources += [artifact] if artifact else []
        return node
    trained = Node("training run", run, {"finished": said["finished"]} if "finished" in said else {})
    if others := _variants(world, version):
        trained.detail["made also"] = ", ".join(others)
    trained.sources += [artifact] if artifact else []
    for kind, label in (("code", "vr-code"), ("dataset", "vr-dataset")):
        if name := said.get(kind) or version.labels.get(label, ""):
            trained.sources.append(Node(kind, name))
    node.sources.append(trained)
    return node


def _variants(world: World, version: ModelVersion) -> list[str]:
    """Other models of the same training run, as the index has them."""
    label = version.labels.get("vr-run")
    found = [v for v in world.store.indexed_versions() if label and v.labels.get("vr-run") == label]
    return [f"{v.model}@{v.version}" for v in found if v.model != version.model]


def draw(node: Node, indent: str = "", branch: str = "") -> Iterator[str]:
    """One line per node, what it came from below it."""
    detail = "  ".join(f"{key}={value}" for key, value in node.detail.items() if value)
    yield f"{indent}{branch}{node.kind} {node.name}" + (f"  {detail}" if detail else "")
    deeper = indent + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
    for position, source in enumerate(node.sources, 1):
        yield from draw(source, deeper, "└─ " if position == len(node.sources) else "├─ ")


def _json(node: Node) -> dict[str, Any]:
    return {"kind": node.kind, "name": node.name, "detail": node.detail, "sources": [_json(s) for s in node.sources]}
