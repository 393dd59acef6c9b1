"""Two hundred alerts at once for one endpoint, in isolated processes: one of them moves the traffic, all are in the ledger."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from local.host import ProcessHost, discover
from local.pubsub.message import Message, push_body
from shared import topics
from shared.rollout.record import Phase
from tests.faults.rig import PROJECT, ROOT, Framework, Rig, incident

JSON = {"Content-Type": "application/json"}
ALERTS, PROCESSES, AT_ONCE = 200, 2, 16


@pytest.mark.slow
def test_two_hundred_alerts_at_once_are_one_write(framework: Framework, tmp_path: Path) -> None:
    with Rig(framework, tmp_path) as rig:
        rig.begin_trial()
        rig.after(6)
        candidate = rig.rollout("2").deployed_id
        before = rig.emulator.counts["UpdateEndpoint"]
        splits = len(rig.emulator.history.all())
        only = {"roll_back": discover(ROOT / "functions")["roll_back"]}
        with ProcessHost(only, root=ROOT) as first, ProcessHost(only, root=ROOT) as second:
            hosts = (first, second)

            def send(number: int) -> int:
                alert = incident(rig.now, candidate, f"0.incident-{number}")
                body = push_body(Message(f"alert-{number}", rig.now, alert, {}), "projects/p/subscriptions/s", None)
                path = f"projects/{PROJECT}/topics/{topics.ALERT_FIRED}"
                url = f"{hosts[number % PROCESSES].url('roll_back')}/{path}"
                for _ in range(30):
                    status = requests.post(url, data=body, headers=JSON, timeout=60).status_code
                    if status < 300:
                        return status
                return status

            with ThreadPoolExecutor(AT_ONCE) as pool:
                answers = list(pool.map(send, range(ALERTS)))
        assert set(answers) <= {200, 204}
        assert rig.shares() == {"1": 100}
        changed = [s for s in rig.emulator.history.all()[splits:] if s.traffic_split]
        assert len(changed) == 1, "one effective write"
        assert rig.emulator.counts["UpdateEndpoint"] - before <= AT_ONCE, "others at most tried at the same moment"
        (closed,) = [e for e in rig.world.store.ledger() if e.decision == "roll_back" and e.phase]
        assert closed.phase == Phase.ROLLED_BACK
