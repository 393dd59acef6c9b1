"""Fleets with planted waste, and with as much that only looks like it.

Shares no code with the audit: what each case saves is worked out here, from the prices as they stand in ``prices.json`` and the definition of the
case. Each endpoint has an owner of its own unless a case wants otherwise, and memory enough in use to forbid a smaller machine.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

HOURS = 720
AT = datetime(2026, 11, 27, tzinfo=UTC)
START = AT - timedelta(hours=HOURS)
REGION = "us-central1"
_SHIPPED = json.loads((Path(__file__).parents[3] / "shared" / "costs" / "prices.json").read_text())["regions"][0]
PRICES = {m["machine"]: Decimal(m["usd_hour"]) for m in _SHIPPED["machines"]} | {
    a["accelerator"]: Decimal(a["usd_hour"]) for a in _SHIPPED["accelerators"]
}
SPOT = {"n1-standard-2": Decimal("0.03150"), "n1-standard-4": Decimal("0.06300"), "NVIDIA_TESLA_T4": Decimal("0.14000")}
T4 = "NVIDIA_TESLA_T4"


def spot_prices() -> str:
    """A file of prices to lay over the shipped ones."""
    source = {"source": "as drawn for this test", "spot": True}
    machines = [
        {"machine": name, "vcpu": int(name[-1]), "memory_gb": 3.75 * int(name[-1]), "usd_hour": str(price), **source}
        for name, price in SPOT.items()
        if name.startswith("n1")
    ]
    gpu = [{"accelerator": T4, "usd_hour": str(SPOT[T4]), **source}]
    region = {"region": REGION, "machines": machines, "accelerators": gpu}
    return json.dumps({"schema": "prices/v1", "dated": "2026-11-26", "regions": [region]})


@dataclass(frozen=True)
class Truth:
    """One finding that has to be made."""

    kind: str
    endpoint: str
    """Its id; of versions, ``model@version, version``."""
    saving: str | None
    """US dollars a month, to the cent; None: not known."""
    counted: bool = False


@dataclass
class World:
    """A fleet in the making, with what is true of it."""

    seed: int
    endpoints: list[dict[str, Any]] = field(default_factory=list)
    versions: list[dict[str, Any]] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)
    lookalikes: list[str] = field(default_factory=list)
    unmeasured: set[str] = field(default_factory=set)
    usd: Decimal = Decimal(0)
    """What the whole window costs, of what has a price."""
    number: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def file(self) -> str:
        return json.dumps(
            {
                "schema": "fleet/v1",
                "start": stamp(START),
                "at": stamp(AT),
                "endpoints": self.endpoints,
                "versions": self.versions,
            }
        )

    def endpoint(self, deployed: list[dict[str, Any]], **more: Any) -> str:
        """One endpoint; the first deployed model has the traffic unless ``traffic`` says otherwise."""
        self.number += 1
        name = f"e{self.number:05d}"
        for place, one in enumerate(deployed):
            one.setdefault("id", f"{self.number:06d}{place}")
            one.setdefault("model", f"model-{self.number}")
        traffic = {deployed[0]["id"]: 100} if deployed else {}
        self.endpoints.append(
            {
                "project": "acme",
                "region": REGION,
                "id": name,
                "created": stamp(START - timedelta(days=200)),
                "labels": {"owner": f"team-{self.number}"},
                "traffic": traffic,
                "deployed": deployed,
            }
            | more
        )
        return name

    def finds(self, kind: str, endpoint: str, saving: Decimal | str | None, counted: bool | None = None) -> None:
        amount = None if saving is None else f"{Decimal(saving).quantize(Decimal('0.01'), 'ROUND_HALF_UP'):f}"
        sums = amount is not None and Decimal(amount) > 0 if counted is None else counted
        self.truths.append(Truth(kind, endpoint, amount, sums))

    def looks_like(self, endpoint: str) -> None:
        self.lookalikes.append(endpoint)

    def serving(self, machine: str = "n1-standard-2", replicas: float = 1, **more: Any) -> dict[str, Any]:
        """A deployed model under a steady, decent load; costs are added up here."""
        gpu, spot, hours = more.pop("gpu", None), more.pop("spot", False), more.pop("hours", HOURS)
        book = SPOT if spot else PRICES
        if machine in book:
            price = book[machine] + (book[gpu] if gpu else 0)
            series = more.get("measured", {}).get("replicas", replicas)
            amount = (
                sum(map(Decimal, map(repr, series))) if isinstance(series, list) else Decimal(repr(replicas)) * hours
            )
            self.usd += price * amount
        measured = {
            "replicas": replicas,
            "predictions": self.random.randrange(500, 50_000),
            "cpu": 0.35,
            "cpu_peak": 0.45,
            "cpu_low": 0.25,
            "memory_gb": 6.5,
        } | more.pop("measured", {})
        described: dict[str, Any] = {"type": machine, "spot": spot} | ({"accelerator": {"type": gpu}} if gpu else {})
        limits = {"min": more.pop("min", math.ceil(replicas)), "max": more.pop("max", 5)}
        return {
            "machine": described,
            "replicas": limits,
            "created": stamp(AT - timedelta(hours=hours) if hours < HOURS else START - timedelta(days=100)),
            "measured": {name: values for name, values in measured.items() if values is not None},
        } | more


def stamp(moment: datetime) -> str:
    return moment.isoformat()


def later(**offset: float) -> str:
    return stamp(AT + timedelta(**offset))


def once(usual: float, peak: float, at: tuple[int, ...] = (300,)) -> list[float]:
    return [peak if hour in at else usual for hour in range(HOURS)]


# --- waste, each with what it saves -----------------------------------------------------------------------------------------------------


def no_traffic(w: World) -> None:
    replicas = w.random.randrange(1, 4)
    e = w.endpoint([w.serving("n1-standard-8", replicas, measured={"predictions": 0, "cpu_peak": 0.01})])
    w.finds("endpoint_without_traffic", e, replicas * HOURS * PRICES["n1-standard-8"])


def expired_standby(w: World) -> None:
    old = w.serving("n1-standard-4", 2, role="fallback", standby={"until": later(days=-3)}, measured={"predictions": 0})
    e = w.endpoint([w.serving(), old])
    w.finds("standby_expired", e, 2 * HOURS * PRICES["n1-standard-4"])


def large_standby(w: World) -> None:
    left = w.random.randrange(2, 20)
    standby = {"hold_until": later(hours=-1), "until": later(hours=left), "replicas": 1}
    old = w.serving("n1-standard-4", 3, role="fallback", standby=standby, measured={"predictions": 0})
    e = w.endpoint([w.serving(), old])
    w.finds("standby_too_large", e, 2 * left * PRICES["n1-standard-4"])


def ended_shadow(w: World) -> None:
    e = w.endpoint([w.serving(hours=100, role="shadow", rollout={"id": "r-1", "open": False})], traffic={})
    w.finds("shadow_left_behind", e, HOURS * PRICES["n1-standard-2"])


def forgotten(w: World) -> None:
    e = w.endpoint([w.serving(), w.serving("n1-highmem-4", 1, gpu=T4, measured={"predictions": 0, "gpu_peak": 0})])
    w.finds("forgotten_model", e, HOURS * (PRICES["n1-highmem-4"] + PRICES[T4]))


def high_minimum(w: World) -> None:
    # Loads of 0.8 replicas: two at 60 %, where four run. From 0.6 to 0.8 within a minute one replica is enough.
    e = w.endpoint([w.serving("n1-standard-2", 4, measured={"cpu": 0.15, "cpu_peak": 0.2, "cpu_low": 0.15})])
    w.finds("minimum_above_need", e, 2 * HOURS * PRICES["n1-standard-2"])


def pinned_over_a_day(w: World) -> None:
    # Six pinned; nights need one, days four. From one hour to the next the load rises by half a replica's worth, so that within an hour
    # and the one before it may rise from 1 to 2 replicas' worth: two replicas would be full, three are not.
    day = [0.5] * 12 + [1.0, 1.5, 2.0] + [2.3] * 6 + [2.0, 1.5, 1.0]
    loads = [day[hour % 24] for hour in range(HOURS)]
    lows = [min(load, day[(hour - 1) % 24], day[(hour + 1) % 24]) for hour, load in enumerate(loads)]
    wanted = [max(3, math.ceil(load / 0.6 - 1e-9)) for load in loads]
    saved = 0.0
    for hour, want in enumerate(wanted):
        before = wanted[hour - 1] if hour else want
        saved += 6 - want - max(0, before - want) * 5 / 60
    measured = {
        "cpu": [load / 6 for load in loads],
        "cpu_peak": [load / 6 for load in loads],
        "cpu_low": [low / 6 for low in lows],
    }
    e = w.endpoint([w.serving("n1-standard-2", 6, max=6, measured=measured)])
    w.finds("minimum_above_need", e, Decimal(repr(round(saved, 6))) * PRICES["n1-standard-2"])


def big_machine(w: World) -> None:
    measured = {"cpu": 0.08, "cpu_peak": 0.12, "cpu_low": 0.05, "memory_gb": 4}
    e = w.endpoint([w.serving("n1-standard-8", 1, measured=measured)])
    w.finds("machine_too_big", e, HOURS * (PRICES["n1-standard-8"] - PRICES["n1-standard-2"]))


def big_memory(w: World) -> None:
    e = w.endpoint([w.serving("n1-highmem-4", 2, measured={"memory_gb": 11, "cpu_low": 0.2})])
    w.finds("machine_too_big", e, 2 * HOURS * (PRICES["n1-highmem-4"] - PRICES["n1-standard-4"]))


def idle_gpu(w: World) -> None:
    e = w.endpoint([w.serving("n1-standard-2", 2, gpu=T4, measured={"gpu_peak": 0.003})])
    w.finds("gpu_idle", e, 2 * HOURS * PRICES[T4])


def idle_included_gpu(w: World) -> None:
    e = w.endpoint([w.serving("g2-standard-4", 1, measured={"gpu_peak": 0})])
    w.finds("gpu_idle", e, HOURS * (PRICES["g2-standard-4"] - PRICES["n2-standard-4"]))


def spot(w: World) -> None:
    e = w.endpoint([w.serving()], labels={"owner": f"lab-{w.number}", "env": w.random.choice(["dev", "staging"])})
    w.finds("spot_candidate", e, HOURS * (PRICES["n1-standard-2"] - SPOT["n1-standard-2"]))


def sharing(w: World) -> None:
    owner, price = f"group-{w.number}", PRICES["n1-standard-2"]
    busy = {"cpu": 0.1, "cpu_peak": 0.15, "cpu_low": 0.05, "memory_gb": 1.9}
    made = [w.endpoint([w.serving(measured=dict(busy))], labels={"team": owner}) for _ in range(3)]
    # Named after the busiest; all are as busy, so after the first.
    w.finds("cohosting", made[0], 2 * HOURS * price)


def saturated(w: World) -> None:
    full = (100, 101, 102, 200)
    replicas = once(1, 3, full)
    measured = {"replicas": replicas, "cpu": once(0.35, 0.9, full), "cpu_peak": once(0.45, 0.95, full)}
    e = w.endpoint([w.serving(min=1, max=3, measured=measured)])
    # 2.85 replicas' worth need five at 60 %: two more in four hours.
    w.finds("too_small_saturated", e, -(2 * 4 * PRICES["n1-standard-2"]))


def slow(w: World) -> None:
    late = tuple(range(0, HOURS, 10))
    measured = {"cpu": once(0.3, 0.6, late), "cpu_peak": 0.6, "p95_ms": once(60, 150, late)}
    e = w.endpoint([w.serving(min=1, max=2, measured=measured)], p95_target_ms=100)
    # 150 ms at 60 %: two replicas at 30 % take 150 * 0.4 / 0.7 = 86 ms. A machine of twice the size the same, for the same money.
    w.finds("too_small_slow", e, -(HOURS * PRICES["n1-standard-2"]))


def unowned(w: World) -> None:
    w.finds("endpoint_without_owner", w.endpoint([w.serving()], labels={"stage": "prod"}), "0")


def empty(w: World) -> None:
    w.finds("endpoint_without_model", w.endpoint([]), "0")


def unowned_version(w: World) -> None:
    model = f"registered-{len(w.versions)}"
    for number, age in ((1, 200), (2, 150), (3, 120)):
        w.versions.append(version(model, number, age))
    # The newest is left alone, the two before are not.
    w.finds("version_without_owner", f"{model}@1, 2", None)


def three_n1_standard_4(w: World) -> None:
    # Both are true; what is saved by one cannot be saved again by the other.
    measured = {"cpu": 0.1, "cpu_peak": 0.15, "cpu_low": 0.1, "memory_gb": 4}
    e = w.endpoint([w.serving("n1-standard-4", 3, max=3, measured=measured)])
    w.finds("minimum_above_need", e, "314.64", True)
    w.finds("machine_too_big", e, "235.98", False)


def idle_gpu_in_a_lab(w: World) -> None:
    labels = {"owner": f"lab-{w.number}", "env": "test"}
    e = w.endpoint([w.serving("n1-standard-2", 1, gpu=T4, measured={"gpu_peak": 0})], labels=labels)
    saved = PRICES["n1-standard-2"] + PRICES[T4] - SPOT["n1-standard-2"] - SPOT[T4]
    w.finds("gpu_idle", e, HOURS * PRICES[T4], True)
    w.finds("spot_candidate", e, HOURS * saved, False)  # less than without the accelerator


WASTE: tuple[Callable[[World], None], ...] = (
    no_traffic,
    expired_standby,
    large_standby,
    ended_shadow,
    forgotten,
    high_minimum,
    pinned_over_a_day,
    big_machine,
    big_memory,
    idle_gpu,
    idle_included_gpu,
    spot,
    sharing,
    saturated,
    slow,
    unowned,
    empty,
    unowned_version,
    three_n1_standard_4,
    idle_gpu_in_a_lab,
)


# --- what only looks like waste ---------------------------------------------------------------------------------------------------------


def version(model: str, number: int, age: float, **more: Any) -> dict[str, Any]:
    named = {"project": "acme", "region": REGION, "model": model, "version": str(number)}
    return named | {"created": later(days=-age)} | more


def asked_once_a_day(w: World) -> None:
    measured = {"predictions": [1 if hour % 24 == 3 else 0 for hour in range(HOURS)]}
    w.looks_like(w.endpoint([w.serving(measured=measured)]))


def made_three_days_ago(w: World) -> None:
    w.looks_like(w.endpoint([w.serving(hours=72, measured={"predictions": 0})]))


def not_counted(w: World) -> None:
    e = w.endpoint([w.serving(measured={"predictions": None})])
    w.looks_like(e)
    w.unmeasured.add(e)


def before_its_first_user(w: World) -> None:
    trial = w.serving(role="candidate", rollout={"id": "r-2", "open": True}, measured={"predictions": 0})
    w.looks_like(w.endpoint([w.serving(measured={"predictions": 0}), trial]))


def standby(w: World) -> None:
    kept = {"hold_until": later(hours=-20), "until": later(hours=4), "replicas": 1}
    w.looks_like(w.endpoint([w.serving(), w.serving(role="fallback", standby=kept, measured={"predictions": 0})]))


def standby_in_its_hold(w: World) -> None:
    kept = {"hold_until": later(minutes=20), "until": later(hours=23), "replicas": 1}
    old = w.serving("n1-standard-4", 4, role="fallback", standby=kept, measured={"predictions": 0})
    w.looks_like(w.endpoint([w.serving(), old]))


def shadow_at_work(w: World) -> None:
    w.looks_like(w.endpoint([w.serving(role="shadow", rollout={"id": "r-3", "open": True})], traffic={}))


def just_deployed(w: World) -> None:
    w.looks_like(w.endpoint([w.serving(), w.serving(hours=5, measured={"predictions": 0})]))


def burst(w: World) -> None:
    # Nearly nothing most of the time, and four replicas' worth within a minute once in the month.
    measured = {"cpu": 0.05, "cpu_peak": once(0.1, 0.85), "cpu_low": 0.02}
    w.looks_like(w.endpoint([w.serving("n1-standard-2", 4, measured=measured)]))


def needed_minimum(w: World) -> None:
    measured = {"cpu": 0.5, "cpu_peak": 0.6, "cpu_low": 0.45}
    w.looks_like(w.endpoint([w.serving("n1-standard-2", 4, measured=measured)]))


def minimum_for_latency(w: World) -> None:
    # 95 ms at 15 %: at 30 % (two replicas) it would be 115 ms, at 20 % (three) still 101 ms.
    measured = {"cpu": 0.15, "cpu_peak": 0.2, "cpu_low": 0.15, "p95_ms": 95}
    w.looks_like(w.endpoint([w.serving("n1-standard-2", 4, measured=measured)], p95_target_ms=100))


def minimum_of_five_days(w: World) -> None:
    w.looks_like(w.endpoint([w.serving("n1-standard-2", 4, hours=120, measured={"cpu_peak": 0.1, "cpu_low": 0.1})]))


def minimum_in_a_trial(w: World) -> None:
    trial = w.serving(role="candidate", rollout={"id": "r-4", "open": True})
    idle = {"cpu": 0.1, "cpu_peak": 0.1, "cpu_low": 0.1}
    w.looks_like(w.endpoint([w.serving("n1-standard-2", 4, measured=idle), trial]))


def minimum_for_the_gpu(w: World) -> None:
    measured = {"cpu": 0.1, "cpu_peak": 0.1, "cpu_low": 0.1, "gpu_peak": 0.7}
    w.looks_like(w.endpoint([w.serving("n1-standard-2", 3, gpu=T4, measured=measured)]))


def full_memory(w: World) -> None:
    measured = {"cpu": 0.08, "cpu_peak": 0.12, "cpu_low": 0.05, "memory_gb": 26}
    w.looks_like(w.endpoint([w.serving("n1-standard-8", 1, measured=measured)]))


def one_busy_hour(w: World) -> None:
    measured = {"cpu": 0.05, "cpu_peak": once(0.08, 0.55), "cpu_low": 0.01, "memory_gb": 6.5}
    w.looks_like(w.endpoint([w.serving("n1-standard-4", 1, measured=measured)]))


def machine_for_latency(w: World) -> None:
    # 80 ms at 20 %; at 40 % it would be 107 ms.
    measured = {"cpu": 0.2, "cpu_peak": 0.25, "cpu_low": 0.1, "memory_gb": 5, "p95_ms": 80}
    w.looks_like(w.endpoint([w.serving("n1-standard-4", 1, measured=measured)], p95_target_ms=100))


def memory_not_measured(w: World) -> None:
    measured = {"cpu": 0.08, "cpu_peak": 0.12, "cpu_low": 0.05, "memory_gb": None}
    e = w.endpoint([w.serving("n1-standard-8", 1, measured=measured)])
    w.looks_like(e)
    w.unmeasured.add(e)


def gpu_used_once(w: World) -> None:
    w.looks_like(w.endpoint([w.serving("n1-standard-2", 1, gpu=T4, measured={"gpu_peak": once(0, 0.4)})]))


def gpu_not_measured(w: World) -> None:
    e = w.endpoint([w.serving("n1-standard-2", 1, gpu=T4)])
    w.looks_like(e)
    w.unmeasured.add(e)


def production(w: World) -> None:
    w.looks_like(w.endpoint([w.serving()], labels={"owner": "shop", "env": "prod"}))


def already_spot(w: World) -> None:
    w.looks_like(w.endpoint([w.serving(spot=True)], labels={"owner": f"lab-{w.number}", "env": "dev"}))


def must_not_stop(w: World) -> None:
    labels = {"owner": f"lab-{w.number}", "env": "staging", "interruptible": "no"}
    w.looks_like(w.endpoint([w.serving()], labels=labels))


def apart(w: World) -> None:
    # Small, alike, and of two owners; or of one owner and too much together; or in two regions.
    small = {"cpu": 0.1, "cpu_peak": 0.15, "cpu_low": 0.05, "memory_gb": 1.9}
    for owner in ("mine", "yours"):
        labels = {"owner": f"{owner}-{w.number}"}
        w.looks_like(w.endpoint([w.serving(measured=dict(small))], labels=labels))
    together = {"owner": f"both-{w.number}"}
    for _ in range(2):
        w.looks_like(w.endpoint([w.serving(measured=dict(small) | {"cpu_peak": 0.4})], labels=together))
    heavy = {"owner": f"heavy-{w.number}"}
    for _ in range(2):
        w.looks_like(w.endpoint([w.serving(measured=dict(small) | {"memory_gb": 3.5})], labels=heavy))


def full_twice(w: World) -> None:
    full = (100, 200)
    measured = {"replicas": once(1, 3, full), "cpu_peak": once(0.45, 0.95, full)}
    w.looks_like(w.endpoint([w.serving(min=1, max=3, measured=measured)]))


def scaling_up(w: World) -> None:
    # Full for a minute, with replicas to come: that is what an autoscaler looks like.
    full = (100, 101, 102, 103)
    w.looks_like(w.endpoint([w.serving(min=1, max=5, measured={"cpu_peak": once(0.45, 0.95, full)})]))


def seldom_slow(w: World) -> None:
    late = tuple(range(0, HOURS, 40))
    w.looks_like(w.endpoint([w.serving(measured={"p95_ms": once(60, 150, late)})], p95_target_ms=100))


def slow_without_a_target(w: World) -> None:
    w.looks_like(w.endpoint([w.serving(measured={"p95_ms": 900})]))


def owned_by_a_policy(w: World) -> None:
    w.looks_like(w.endpoint([w.serving()], labels={}, policy=f"model-{w.number}"))


def waiting_for_its_model(w: World) -> None:
    w.looks_like(w.endpoint([], created=later(days=-2)))
    w.looks_like(w.endpoint([], policy=f"model-{w.number}"))


def used_versions(w: World) -> None:
    model = f"kept-{len(w.versions)}"
    w.versions += [
        version(model, 1, 300, aliases=["previous"]),
        version(model, 2, 250, labels={"team": "search"}),
        version(model, 3, 30),
        version(model, 4, 200),
    ]


def without_a_price(w: World) -> None:
    e = w.endpoint([w.serving("m9-standard-4", 2)])
    w.looks_like(e)
    w.unmeasured.add(e)


def day_and_night(w: World) -> None:
    """A healthy endpoint: one replica at least, as many as the day needs."""
    shift = w.random.randrange(24)
    loads = [0.5 + 0.8 * (1 + math.sin((hour + shift) * math.pi / 12)) for hour in range(HOURS)]
    replicas = [max(1, math.ceil(load / 0.6 - 1e-9)) for load in loads]
    use = [load / running for load, running in zip(loads, replicas, strict=True)]
    measured = {
        "replicas": replicas,
        "predictions": [round(1000 * load) for load in loads],
        "cpu": use,
        "cpu_peak": use,
        "cpu_low": [0.8 * one for one in use],
    }
    w.looks_like(w.endpoint([w.serving(min=1, max=5, measured=measured)]))


LOOKALIKES: tuple[Callable[[World], None], ...] = (
    asked_once_a_day,
    made_three_days_ago,
    not_counted,
    before_its_first_user,
    standby,
    standby_in_its_hold,
    shadow_at_work,
    just_deployed,
    burst,
    needed_minimum,
    minimum_for_latency,
    minimum_of_five_days,
    minimum_in_a_trial,
    minimum_for_the_gpu,
    full_memory,
    one_busy_hour,
    machine_for_latency,
    memory_not_measured,
    gpu_used_once,
    gpu_not_measured,
    production,
    already_spot,
    must_not_stop,
    apart,
    full_twice,
    scaling_up,
    seldom_slow,
    slow_without_a_target,
    owned_by_a_policy,
    waiting_for_its_model,
    used_versions,
    without_a_price,
)


def planted(endpoints: int, seed: int = 1) -> World:
    """A fleet of so many endpoints: every case of waste and every look-alike, again and again in a drawn order, and healthy ones."""
    world = World(seed)
    while True:
        cases = [*WASTE, *LOOKALIKES]
        world.random.shuffle(cases)
        for case in cases:
            if world.number > endpoints - 10:  # a case makes up to six
                break
            case(world)
        else:
            continue
        break
    while world.number < endpoints:
        day_and_night(world)
    world.random.shuffle(world.endpoints)
    return world
