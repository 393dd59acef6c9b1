"""Endpoints, some of which have the arms of a sticky experiment beside them: the split between them is an object in the bucket.

While the label ``vr-sticky`` of the main endpoint names the object's experiment, split and labels are the object's, in one write at the
generation that was read. The main endpoint's own traffic stays the control's all that time. The first write puts the trial's labels and
that one on the main endpoint, so it ends a watch and meets whoever else writes there; the second one gives the arms their keys. The first
write that is about the main endpoint alone, once no arm has any keys, takes the label away again.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.errors import RefusedError
from shared.rollout.assigning import as_group, begun, read_slots, told, write_slots
from shared.rollout.labels import ARM_NAME, ARM_OF, ROLLOUT, STICKY, read_labels
from shared.rollout.observed import Assignment, Endpoint, Group, Slot, TargetRef
from shared.vertex.pairs import PairedEndpoints, object_name
from shared.vertex.pointers import JSON, labels_of, own_labels

if TYPE_CHECKING:
    from shared.buckets import Object


class GroupedEndpoints(PairedEndpoints):
    """The same methods; an endpoint without the labels of a sticky experiment costs nothing more."""

    def get(self, ref: TargetRef) -> Endpoint | None:
        """As it is now; the endpoint of an arm is answered with all of them, under the main one's name."""
        found = super().get(ref)
        if found is None or found.pair:
            return found
        main, known = found, []
        if ARM_OF in found.labels:
            main, known = super().get(TargetRef(ref.project, ref.region, found.labels[ARM_OF])) or found, [found]
        if STICKY in main.labels:
            return self._grouped(main, known, self._assignment(main.ref))
        return found if main is found else as_group(main, known, None)

    def list(self, project: str, region: str, only: Collection[str] | None = None) -> builtins.list[Endpoint]:
        """All of them; arms that have keys stand with their main endpoint."""
        found = super().list(project, region, only)
        if not any(STICKY in endpoint.labels for endpoint in found):
            return found
        by_name = {endpoint.ref.endpoint: endpoint for endpoint in found}
        objects = {one.name: one for one in self._buckets().list(self.bucket, f"{project}/{region}/")}
        both = {}
        for endpoint in found:
            if STICKY in endpoint.labels:
                said = _assignment_of(objects.get(object_name(endpoint.ref)))
                arms = [by_name[name] for name in _asked(endpoint, said) if name in by_name]
                both[endpoint.ref] = as_group(endpoint, arms, said)
        beside = {arm.ref for one in both.values() if one.group for arm in one.group.arms}
        return [both.get(endpoint.ref, endpoint) for endpoint in found if endpoint.ref not in beside]

    def with_arms(self, endpoint: Endpoint, refs: Iterable[TargetRef]) -> Endpoint:
        """The same with those endpoints beside it, before they have keys."""
        group = endpoint.group or Group(endpoint, (), self._assignment(endpoint.ref))
        known = {arm.ref: arm for arm in group.arms}
        arms = [arm for ref in refs if (arm := known.get(ref) or self.plain(ref))]
        return as_group(group.main, arms, group.assignment)

    def write_traffic(self, endpoint: Endpoint, split: Mapping[str, int], labels: Mapping[str, str]) -> Endpoint:
        group = endpoint.group
        if group is None:
            return super().write_traffic(endpoint, split, labels)
        shares = {deployed_id: share for deployed_id, share in split.items() if share}
        own = {one for one in shares if one in group.main.split or group.main.find(one)}
        outside = {one: share for one, share in shares.items() if one not in own}
        said = group.in_force
        if not outside and (not group.mark or (said and not said.shares and own != set(group.main.split))):
            return super().write_traffic(group.main, split, labels)
        if own != set(group.main.split):
            raise RefusedError(
                f"the traffic of {endpoint.ref} cannot be {shares}: the control has to keep a part of it"
            )
        if outside and (said is None or not said.slots or said.experiment != labels.get(ROLLOUT)):
            slots = begun(read_labels(labels).arms, outside, group.arms, ARM_NAME)
            marked = {**labels, STICKY: labels[ROLLOUT]}
            main = super().write_traffic(group.main, group.main.split, marked)
            return self._assign(Group(main, group.arms, group.assignment, labels[ROLLOUT]), slots, labels)
        slots = tuple(_held(slot, outside) for slot in (said.slots if said else ()))
        if {slot.deployed_id for slot in slots if slot.is_in} != set(outside):
            raise RefusedError(
                f"the traffic of {endpoint.ref} cannot be {shares}: no arm gets other keys than it began with"
            )
        return self._assign(group, slots, labels)

    def write_labels(self, endpoint: Endpoint, labels: Mapping[str, str]) -> Endpoint:
        group = endpoint.group
        if group is None:
            return super().write_labels(endpoint, labels)
        if not group.mark:
            return super().write_labels(group.main, labels)
        return self._assign(group, group.in_force.slots if group.in_force else (), labels)

    def _assign(self, group: Group, slots: Sequence[Slot], labels: Mapping[str, str]) -> Endpoint:
        """The object anew, if it still is the one that was read."""
        ref, before = group.main.ref, group.assignment
        content = json.dumps(told(ref, group.mark, slots, labels), indent=1).encode()
        about = {
            "experiment": group.mark,
            "slots": write_slots(slots),
            "labels": json.dumps(own_labels(labels)),
        }
        generation = before.generation if before else 0
        written = self._buckets().write(self.bucket, object_name(ref), content, JSON, generation, about)
        return as_group(group.main, group.arms, _assignment_of(written))

    def _grouped(self, main: Endpoint, known: Sequence[Endpoint], said: Assignment | None) -> Endpoint:
        arms = {arm.ref.endpoint: arm for arm in known}
        for name in _asked(main, said):
            found = None if name in arms else self.plain(TargetRef(main.ref.project, main.ref.region, name))
            if found:
                arms[name] = found
        return as_group(main, builtins.list(arms.values()), said)

    def _assignment(self, ref: TargetRef) -> Assignment | None:
        return _assignment_of(self._buckets().look(self.bucket, object_name(ref)))


def _asked(main: Endpoint, said: Assignment | None) -> builtins.list[str]:
    """The arms' endpoints that clients are told of."""
    is_in_force = said is not None and said.experiment == main.labels[STICKY]
    return [slot.endpoint for slot in said.slots if slot.is_in] if said and is_in_force else []


def _held(slot: Slot, outside: Mapping[str, int]) -> Slot:
    """A slot as a split has it: whole, or the control's."""
    return replace(slot, is_in=slot.is_in and outside.get(slot.deployed_id) == slot.share)


def _assignment_of(found: Object | None) -> Assignment | None:
    if found is None:
        return None
    about = found.metadata
    return Assignment(
        found.generation, about.get("experiment", ""), read_slots(about.get("slots", "")), labels_of(found)
    )
