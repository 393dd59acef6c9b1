"""``rollouts resolve``: which endpoint of a model is live, and whose a key is."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import typer

from rollouts_cli.console import AsJson, reported, say, say_json
from rollouts_cli.lookup import opened_store, refuse_unknown_model
from shared.errors import NotFoundError
from shared.wiring import World

Model = Annotated[str, typer.Argument(help="The model of a policy.", metavar="MODEL", show_default=False)]
Key = Annotated[
    str, typer.Option("--key", help="Of a sticky experiment: a user's key; prints whose it is.", show_default=False)
]


def resolve(model: Model, key: Key = "", as_json: AsJson = False) -> None:
    """Print which endpoint clients are told to ask, per target; of a target without blue-green or a sticky experiment it is always the same."""
    with reported(as_json), opened_store() as store:
        refuse_unknown_model(store, model)
        world = World()
        world.__dict__["store"] = store
        told = targets(world, model, key)
    if as_json:
        say_json({"model": model, "targets": told})
        return
    for one in told:
        since = f" since {one['since']}" if one.get("since") else ""
        version = f"  v{one['version']}{since}, good for {one['ttl_seconds']} s" if one.get("version") else ""
        say(f"{one['target']}: {one['endpoint'] or 'none is live yet'}{version}")
        if "arm" in one:
            say(f"  {one['arm']}, place {one['place']} of 100 in {one['experiment']}, good for {one['ttl_seconds']} s")
        left = 100
        for arm in one.get("arms", ()) if not key else ():
            left -= arm["share"]
            out = "" if arm["endpoint"] != one["control"] else ", out: its keys are the control's"
            say(f"  {arm['share']:>3} %  {arm['name']}  {arm['endpoint']}{out}")
        if "arms" in one and not key:
            say(f"  {left:>3} %  control  {one['control']}")


def targets(world: World, model: str, key: str = "") -> list[dict[str, Any]]:
    """What clients read, target by target; with a key what it comes to."""
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
        elif stored and stored.policy.rollout.experiment and stored.policy.rollout.experiment.is_sticky:
            with suppress(NotFoundError):  # before its first experiment everybody asks the one endpoint
                read = json.loads(world.buckets.read(world.endpoints.bucket, object_name(ref)))
                said = alone | read | (whose(read, key) if key else {})
        found.append({"target": str(ref), **said})
    return found


def whose(read: dict[str, Any], key: str) -> dict[str, Any]:
    """What an object of a sticky experiment says of one key."""
    from shared.rollout.assigning import digest_of, place_of, slot_at

    place = place_of(digest_of(read["experiment"], key))
    slot = slot_at(place, [arm["share"] for arm in read["arms"]])
    arm = read["arms"][slot] if slot is not None else {"name": "control", "endpoint": read["control"]}
    name = arm["name"] if slot is None or arm["endpoint"] != read["control"] else f"control ({arm['name']} is out)"
    return {"key": key, "place": place, "arm": name, "endpoint": arm["endpoint"]}
