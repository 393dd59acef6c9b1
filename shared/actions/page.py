"""The status page: what is asked for, by whom, and the HTML that answers. Looking changes nothing; only a POST acts."""

from __future__ import annotations

import hmac
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.actions.access import ForbiddenError, is_allowed
from shared.actions.look import look
from shared.actions.show import links, policies_of, see, version_address
from shared.costs.prices import shipped
from shared.errors import NotFoundError, PermanentError, RefusedError, TransientError
from shared.page.render import HEADERS, KEPT, files, render
from shared.page.words import COMMANDS
from shared.rollout.aliases import OURS, desired_aliases
from shared.rollout.names import version_number
from shared.rollout.query import values
from shared.rollout.record import CheckResult, Rollout
from shared.rollout.stages import next_stage
from shared.store.store import Store
from shared.text import one_line
from shared.view.explain import explain
from shared.view.ledger import traffic
from shared.view.looked import Looked
from shared.view.overview import asks, extra_hourly, offered, row
from shared.view.standing import age, standing
from shared.view.stepper import steps
from shared.view.timeline import timeline
from shared.wiring import World

if TYPE_CHECKING:
    from shared.actions.command import Command

PAGE = 100
"""Rollouts in progress on one page."""
ENDED = 20
ENTRIES = 200
"""Of the ledger, the newest."""
REFRESH = 20
"""Seconds between two looks of a page that is open; PAGE_REFRESH is another number."""
COOKIE = "__Host-form"
"""A browser takes it over HTTPS alone, from this host alone, and sends it with no form of another site."""


@dataclass(frozen=True)
class Asked:
    """A request, once it is known who asks."""

    method: str
    path: str
    actor: str
    root: str = ""
    """What stands before the path, where the page is not served at the root of its host."""
    host: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    cookie: str = ""
    origin: str = ""
    site: str = ""
    """``Sec-Fetch-Site``: where the browser says that the request was made."""


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    status: int
    body: str | bytes
    headers: Mapping[str, str]


def answer(world: World, asked: Asked) -> Answer:
    """The page that was asked for, or one that says why there is none."""
    try:
        return _Page(world, asked).answer()
    except NotFoundError as exc:
        return problem(world, asked, 404, "Not found", str(exc))
    except ForbiddenError as exc:
        return problem(world, asked, 403, "Not allowed", str(exc))
    except PermanentError as exc:
        return problem(world, asked, 400, "Not possible", str(exc))
    except TransientError as exc:
        return problem(world, asked, 503, "Not now", f"{exc}; try again in a moment")


def problem(world: World, asked: Asked, status: int, title: str, sentence: str, near: tuple[str, ...] = ()) -> Answer:
    """A page that says what is wrong, and nothing else."""
    body = render(
        "problem.html",
        **_frame(world, asked, world.now(), refresh=0, here=""),
        title=title,
        sentence=sentence[:1].upper() + sentence[1:],
        near=near,
    )
    return Answer(status, body, HEADERS)


def _frame(world: World, asked: Asked, now: datetime, refresh: int, here: str) -> dict[str, Any]:
    return {"root": asked.root, "actor": asked.actor, "now": now, "refresh": refresh, "here": here}


class _Page:
    """One request."""

    def __init__(self, world: World, asked: Asked) -> None:
        self._world, self._asked, self._now = world, asked, world.now()

    @property
    def _store(self) -> Store:
        return self._world.store

    def answer(self) -> Answer:
        parts = [part for part in self._asked.path.split("/") if part]
        match (self._asked.method, parts):
            case (("GET" | "HEAD"), [name]) if name in files():
                content, kind = files()[name]
                return Answer(
                    200, content, {"Content-Type": kind, "Cache-Control": KEPT, "X-Content-Type-Options": "nosniff"}
                )
            case (("GET" | "HEAD"), []):
                return self._overview()
            case (("GET" | "HEAD"), ["models"]):
                return self._shown(
                    "models.html", "models", 0, models=sorted(self._store.policies(), key=lambda p: p.model)
                )
            case (("GET" | "HEAD"), ["models", model]):
                return self._model(model)
            case (("GET" | "HEAD"), ["rollouts", id_]):
                return self._rollout(id_)
            case (("GET" | "HEAD"), ["rollouts", id_, command]) if command in COMMANDS:
                return self._ask(self._find(id_), command)
            case ("POST", ["rollouts", id_, command]) if command in COMMANDS:
                return self._act(self._find(id_), command)
            case (("GET" | "HEAD" | "POST"), _):
                raise NotFoundError("there is no page here; what there is begins at the list of all rollouts")
        return Answer(405, "", {**HEADERS, "Allow": "GET, HEAD, POST"})

    def _shown(self, template: str, here: str, refresh: int, status: int = 200, **shown: Any) -> Answer:
        frame = _frame(self._world, self._asked, self._now, refresh, here)
        return Answer(status, render(template, **frame, **shown), HEADERS)

    @property
    def _refresh(self) -> int:
        given = self._world.environment.get("PAGE_REFRESH", "")
        return int(given) if given.isdigit() else REFRESH

    def _find(self, id_: str) -> Rollout:
        stored = self._store.get_rollout(id_) if len(id_) < 200 else None
        if stored is None:
            near = get_close_matches(id_[:200], [s.rollout.id for s in self._store.unsettled_rollouts()], n=3)
            hint = f"; near it: {', '.join(near)}" if near else ""
            raise NotFoundError(f"there is no rollout {id_[:200]}{hint}; `rollouts list --all` shows them")
        return stored.rollout

    # -- pages ------------------------------------------------------------------------------------------------

    def _overview(self) -> Answer:
        model = self._asked.query.get("model", "")
        open_ = [s.rollout for s in self._store.unsettled_rollouts() if s.rollout.phase.is_open]
        open_ = [r for r in reversed(open_) if model in ("", r.model)]
        ended = self._store.ended_rollouts(ENDED) if not model else self._of_model(model)[1][:ENDED]
        policy_of = policies_of(self._world, [*open_, *ended])
        given = self._asked.query.get("page", "1")
        pages = max(1, -(-len(open_) // PAGE))
        page = min(max(int(given), 1), pages) if given.isdigit() and len(given) < 6 else 1
        asking = [r for r in open_ if asks(r, policy_of(r))]
        hourly, unpriced = extra_hourly(open_, policy_of, shipped())
        dated = shipped().dated
        return self._shown(
            "overview.html",
            "overview",
            self._refresh,
            model=model,
            open_count=len(open_),
            needs=[row(r, policy_of(r), self._now) for r in asking],
            progress=[row(r, policy_of(r), self._now) for r in open_[(page - 1) * PAGE : page * PAGE]],
            ended=[row(r, policy_of(r), self._now) for r in ended],
            page=page,
            pages=pages,
            models={r.model for r in open_},
            stops=[stop for stop in self._store.stops() if stop.until is None or self._now < stop.until],
            hourly=hourly,
            unpriced=unpriced,
            priced_on=dated[0] if dated else "no date",
        )

    def _of_model(self, model: str) -> tuple[list[Rollout], list[Rollout]]:
        found = self._store.rollouts_of_model(model, 200)
        return [r for r in found if r.phase.is_open], [r for r in found if not r.phase.is_open]

    def _rollout(self, id_: str) -> Answer:
        rollout = self._find(id_)
        seen = see(self._world, rollout, self._now)
        looked = seen.looked
        line = timeline(rollout, looked.entries, seen.measured, self._now)
        told = COMMANDS.get(self._asked.query.get("done", ""))
        newest = list(reversed(looked.entries))
        return self._shown(
            "rollout.html",
            "",
            self._refresh if rollout.phase.is_open else 0,
            seen=looked,
            standing=standing(rollout, looked.policy),
            steps=steps(rollout, looked.policy, looked.entries, self._now),
            explained=explain(looked, self._store.stops(rollout.model), self._now),
            offered=self._offered(looked),
            asks=asks(rollout, looked.policy),
            observing=bool(looked.policy and looked.policy.mode == "observe"),
            told=told.done if told else "",
            traffic=seen.traffic,
            objective=_objective(looked),
            shares=seen.shares,
            differs=seen.differs,
            machines=seen.machines,
            checks=[_check(one, line.trends.get(one.metric, "")) for one in looked.checks.results],
            metrics_error=seen.metrics_error,
            line=line,
            entries=newest[:ENTRIES],
            more_entries=max(0, len(newest) - ENTRIES),
            moves={e.id: traffic(e, looked.names) for e in looked.entries},
            age=age(self._now - rollout.created_at),
            links=links(rollout),
        )

    def _model(self, model: str) -> Answer:
        policy = self._store.policy(model) if len(model) < 200 else None
        if policy is None:
            raise NotFoundError(f"there is no policy for {model[:200]}; the list of models has those that have one")
        rollouts = self._store.rollouts_of_model(model, 400)
        policy_of = policies_of(self._world, rollouts)
        ours = desired_aliases(rollouts, len(policy.policy.targets))
        indexed = sorted(self._store.indexed_versions(model), key=lambda v: version_number(v.version), reverse=True)
        versions = [
            {
                "version": v.version,
                "created_at": v.created_at,
                "metrics": v.metrics,
                "aliases": sorted(
                    {a for a in v.aliases if a not in OURS} | {a for a, n in ours.items() if n == v.version}
                ),
                "lineage": [
                    (kind, found[0]) for kind in ("run", "dataset", "code", "job") if (found := values(v, (), kind))
                ],
                "address": version_address(v.project, v.region, v.model, v.version),
            }
            for v in indexed[:PAGE]
        ]
        rows = [row(r, policy_of(r), self._now) for r in rollouts[:PAGE]]
        return self._shown(
            "model.html",
            "models",
            self._refresh,
            model=model,
            policy=policy,
            versions=versions,
            metric_names=sorted({name for v in indexed[:PAGE] for name in v.metrics}),
            open_rows=[r for r in rows if r.rollout.phase.is_open],
            ended_rows=[r for r in rows if not r.rollout.phase.is_open],
        )

    # -- acting -----------------------------------------------------------------------------------------------

    def _offered(self, looked: Looked) -> list[str]:
        policy = looked.policy
        if policy is None:
            return []
        actor, rollout = self._asked.actor, looked.rollout
        return [command for command in offered(looked) if is_allowed(self._world, policy, rollout, command, actor)]

    def _ask(self, rollout: Rollout, command: str, problem: str = "", status: int = 200) -> Answer:
        """The question; a form only for who may, and only where it makes sense."""
        looked = look(self._store, rollout, self._now)
        policy = looked.policy
        reason = one_line(self._asked.form.get("reason", ""))[:500]
        cookie = self._asked.cookie or secrets.token_urlsafe(32)
        id_ = uuid.uuid4().hex
        allowed = policy is not None and is_allowed(self._world, policy, rollout, command, self._asked.actor)
        if not problem and command not in offered(looked):
            problem = f"nothing to {COMMANDS[command].button.lower()} here now: {rollout.id} is {rollout.phase.value.replace('_', ' ')}"
        elif not problem and not allowed:
            problem = f"only those whom its policy names may do this (access.operators or approval.by); you are {self._asked.actor}"
        share = policy.rollout.stages[next_stage(rollout, len(policy.rollout.stages))].traffic if policy else None
        shown = self._shown(
            "ask.html",
            "",
            0,
            status,
            seen=looked,
            standing=standing(rollout, policy),
            command=command,
            words=COMMANDS[command],
            problem=problem[:1].upper() + problem[1:],
            id=id_,
            share=share,
            reason=reason,
            token=_token(cookie, self._asked.actor, rollout.id, command, id_)
            if allowed and command in offered(looked)
            else "",
        )
        kept = f"{COOKIE}={cookie}; Path=/; Secure; HttpOnly; SameSite=Lax"
        return Answer(shown.status, shown.body, {**shown.headers, "Set-Cookie": kept})

    def _act(self, rollout: Rollout, command: str) -> Answer:
        self._refuse_forgery(rollout, command)
        from shared.actions.steering import steer  # all that a command may do; who only looks should not wait for it

        form = self._asked.form
        said: dict[str, Any] = {
            "id": form["id"],
            "command": command,
            "rollout": rollout.id,
            "reason": form.get("reason", ""),
        }
        if form.get("traffic", "").isdigit():
            said["traffic"] = int(form["traffic"])
        try:
            steer(self._world, checked(said), self._asked.actor)
        except RefusedError as exc:
            found = self._store.get_rollout(rollout.id)
            return self._ask(found.rollout if found else rollout, command, str(exc), 409)
        # Whoever loads the page again looks again, and sends nothing a second time.
        there = f"{self._asked.root}/rollouts/{rollout.id}?done={command}"
        return Answer(303, "", {**HEADERS, "Location": there})

    def _refuse_forgery(self, rollout: Rollout, command: str) -> None:
        """ForbiddenError unless the form is one that this page gave to this person, for this command, in this browser."""
        asked = self._asked
        is_same_site = asked.site == "same-origin" if asked.site else urlsplit(asked.origin).netloc == asked.host != ""
        given = asked.form.get("token", "")
        wanted = _token(asked.cookie, asked.actor, rollout.id, command, asked.form.get("id", ""))
        if not is_same_site or not asked.cookie or not hmac.compare_digest(given.encode(), wanted.encode()):
            raise ForbiddenError(
                "this form was not sent from the page that asks, or was opened by somebody else; open the rollout and ask again"
            )


def checked(said: Mapping[str, Any]) -> Command:
    """The command, by the same rules as one that comes as JSON."""
    import json

    from shared.actions.command import parse_command

    return parse_command(json.dumps(dict(said)).encode())


def _token(cookie: str, actor: str, rollout: str, command: str, id_: str) -> str:
    said = "\0".join((actor, rollout, command, id_))
    return hmac.new(cookie.encode(), said.encode(), "sha256").hexdigest()


def _objective(looked: Looked) -> str:
    """What arms are compared by, in words."""
    spec = looked.policy.rollout.experiment if looked.policy else None
    if spec is None:
        return ""
    goal = spec.objective
    edge = (
        f" from {goal.good_from:g}"
        if goal.good_from is not None
        else f" up to {goal.good_to:g}"
        if goal.good_to is not None
        else ""
    )
    return f"how often {goal.metric} is good{edge}"


def _check(result: CheckResult, trend: str) -> dict[str, Any]:
    """A check as a row: its numbers in the form of its sentence."""
    is_share = "%" in result.sentence.partition("(")[0]

    def shown(value: float | None) -> str:
        return "" if value is None else f"{value * 100:.3g} %" if is_share else f"{value:.4g}"

    return {
        "result": result,
        "observed": shown(result.observed),
        "limit": shown(result.limit),
        "stable": shown(result.stable),
        "trend": trend,
    }
