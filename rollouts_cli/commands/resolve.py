"""``rollouts resolve``: which endpoint of a model is live."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rollouts_cli.console import AsJson, reported, say, say_json
from rollouts_cli.lookup import opened_store, refuse_unknown_model
from shared.errors import NotFoundError
from shared.wiring import World

Model = Annotated[str, typer.Argument(help="The model of a policy.", metavar="MODEL", show_default=False)]


def resolve(model: Model, as_json: AsJson = False) -> None:
    """Print which endpoint clients are told to ask, per target; of a target without blue-green it is always the same."""
    with reported(as_json), opened_store() as store:
        refuse_unknown_model(store, model)
        world = World()
        world.__dict__["store"] = store
        told = targets(world, model)
    if as_json:
        say_json({"model": model, "targets": told})
        return
    for one in told:
        since = f" since {one['since']}" if one.get("since") else ""
        version = f"  v{one['version']}{since}, good for {one['ttl_seconds']} s" if one.get("version") else ""
        say(f"{one['target']}: {one['endpoint'] or 'none is live yet'}{version}")


def targets(world: World, model: str) -> list[dict[str, Any]]:
    """What clients read, target by target."""
    import json

    from shared.actions.policies import target_ref
    from shared.vertex.pairs import object_name

    stored = world.store.policy(model)
    found: list[dict[str, Any]] = []
    for target in stored.policy.targets if stored else ():
        ref = target_ref(world, target)
        alone = {"endpoint": f"projects/{ref.project}/locations/{ref.region}/endpoints/{ref.endpoint}"}
        said: dict[str, Any] = alone
        if stored and stored.policy.rollout.blue_green:
            try:
                said = json.loads(world.buckets.read(world.endpoints.bucket, object_name(ref)))
            except NotFoundError:
                said = {"endpoint": ""}
        found.append({"target": str(ref), **said})
    return found
