"""Endpoints, of which two may be one (blue-green): then the split is the pointer in the bucket that clients read. Exports are beside them.

The first write of a switch gives the next endpoint's model all of its own traffic, which nobody asks for yet; the second moves the pointer,
if it is still the one that was read. Between and after them both endpoints answer, so there is never none. Back it is the second write alone.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from shared.errors import ConflictError, PermanentError, RefusedError
from shared.rollout.labels import MODEL, PAIR, PREFIX, adopted
from shared.rollout.names import export_place, green_target
from shared.rollout.observed import Endpoint, OperationState, Pair, Pointer, TargetRef
from shared.rollout.pairing import as_one, pointed
from shared.vertex.adopted import KnownEndpoints
from shared.vertex.endpoints import DeploySpec
from shared.vertex.exports import OPERATION, Exports
from shared.vertex.pointers import JSON, labels_of, metadata, own_labels

if TYPE_CHECKING:
    from shared.buckets import Buckets, Object


def object_name(ref: TargetRef) -> str:
    """Of a pair's object; ``ref`` is its first endpoint."""
    return f"{ref.project}/{ref.region}/{ref.endpoint}.json"


class PairedEndpoints(KnownEndpoints):
    """The same methods; an endpoint without the label of a pair costs nothing more."""

    def __init__(self, bucket: str, buckets: Callable[[], Buckets]) -> None:
        super().__init__()
        self._bucket, self._buckets = bucket, buckets
        self._exports = Exports(buckets)

    def get(self, ref: TargetRef) -> Endpoint | None:
        """As it is now; the second of a pair is answered with both, under the first one's name."""
        if export_place(ref):
            return self._exports.get(ref)
        found = super().get(ref)
        if found is None or PAIR not in found.labels:
            return found
        first = TargetRef(ref.project, ref.region, found.labels[PAIR])
        blue = found if first == ref else super().get(first)
        if blue is None:
            return None
        green = found if first != ref else super().get(green_target(first))
        return as_one(blue, green, self._pointer(first))

    def plain(self, ref: TargetRef) -> Endpoint | None:
        """That endpoint alone."""
        return super().get(ref)

    def list(self, project: str, region: str, only: Collection[str] | None = None) -> builtins.list[Endpoint]:
        found = super().list(project, region, only)
        if not any(PAIR in endpoint.labels for endpoint in found):
            return found
        by_name = {endpoint.ref.endpoint: endpoint for endpoint in found}
        objects = self._buckets().list(self.bucket, f"{project}/{region}/")
        pointers = {one.name: _pointer_of(one) for one in objects}
        both = []
        for endpoint in found:
            first = endpoint.labels.get(PAIR, "")
            if first == endpoint.ref.endpoint:
                green = by_name.get(green_target(endpoint.ref).endpoint)
                both.append(as_one(endpoint, green, pointers.get(object_name(endpoint.ref))))
            elif first not in by_name:
                both.append(endpoint)
        return both

    def write_traffic(self, endpoint: Endpoint, split: Mapping[str, int], labels: Mapping[str, str]) -> Endpoint:
        pair = endpoint.pair
        if export_place(endpoint.ref):
            return self._exports.write_traffic(endpoint, split, labels)
        if pair is None:
            return super().write_traffic(endpoint, split, labels)
        shares = {deployed_id: share for deployed_id, share in split.items() if share}
        holders = {holder.ref: holder for one in shares if (holder := pair.holder(one))}
        if len(holders) != 1 or not all(pair.holder(one) for one in shares):
            raise RefusedError(f"the traffic of {endpoint.ref} cannot be {shares}: clients ask one of two endpoints")
        live = holders.popitem()[1]
        if dict(live.split) != shares:
            live = super().write_traffic(live, shares, live.labels)
        return self._point(endpoint, pair, live, labels)

    def write_labels(self, endpoint: Endpoint, labels: Mapping[str, str]) -> Endpoint:
        pair = endpoint.pair
        if export_place(endpoint.ref):
            return self._exports.write_labels(endpoint, labels)
        if pair is None:
            return super().write_labels(endpoint, labels)
        if pair.live is None:
            raise ConflictError(f"neither endpoint of {endpoint.ref} is live, so there is nothing to write labels on")
        return self._point(endpoint, pair, pair.live, labels)

    def deploy(self, ref: TargetRef, spec: DeploySpec) -> str:
        return self._exports.deploy(ref, spec) if export_place(ref) else super().deploy(ref, spec)

    def undeploy(self, ref: TargetRef, deployed_id: str) -> str:
        return self._exports.undeploy(ref, deployed_id) if export_place(ref) else super().undeploy(ref, deployed_id)

    def operation(self, region: str, name: str) -> OperationState:
        is_export = name.startswith(OPERATION)
        return OperationState(name, done=True) if is_export else super().operation(region, name)

    def couple(self, blue: Endpoint, labels: Mapping[str, str]) -> None:
        """Make two endpoints one: what is live is said before anybody looks there. Repeating it changes nothing."""
        serving = any(blue.split.values())
        if serving and self._pointer(blue.ref) is None:
            pair = Pair(blue, None, None)
            self._point(as_one(blue, None, None), pair, blue, {**blue.labels, **labels})
        others = {key: value for key, value in blue.labels.items() if not key.startswith(PREFIX)}
        own = {MODEL: labels[MODEL], PAIR: blue.ref.endpoint}
        super().write_labels(blue, {**others, **adopted(blue.labels), **own})

    def _point(self, endpoint: Endpoint, pair: Pair, live: Endpoint, labels: Mapping[str, str]) -> Endpoint:
        said = json.dumps(pointed(live, own_labels(labels), pair.pointer), indent=1).encode()
        generation = pair.pointer.generation if pair.pointer else 0
        name, about = object_name(endpoint.ref), metadata(live.ref.endpoint, labels)
        written = self._buckets().write(self.bucket, name, said, JSON, generation, about)
        both = [live if one and one.ref == live.ref else one for one in (pair.blue, pair.green)]
        return as_one(both[0] or pair.blue, both[1], _pointer_of(written))

    def _pointer(self, ref: TargetRef) -> Pointer | None:
        found = self._buckets().look(self.bucket, object_name(ref))
        return _pointer_of(found) if found else None

    @property
    def bucket(self) -> str:
        """Where the objects are; PermanentError where there is none."""
        if not self._bucket:
            raise PermanentError(
                "LIVE_BUCKET is not set; it names the bucket whose objects say which endpoint of two is live"
            )
        return self._bucket


def _pointer_of(found: Object) -> Pointer:
    return Pointer(found.generation, found.metadata.get("live", ""), labels_of(found))
