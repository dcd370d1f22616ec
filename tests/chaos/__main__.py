"""``python -m chaos``: the whole of it, with a line at the end that says what was lost. See ``make chaos``."""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import time
from collections.abc import Sequence

import httpx2

from chaos.clients import Client
from chaos.cluster import Cluster
from chaos.killer import Killer
from chaos.ledger import Ledger
from chaos.records import Records
from chaos.verdict import Verdict, await_end, judge
from chaos.work import DATASET, EXAMPLE, TARGET, Job, jobs
from rowcast.client import Client as Sdk

SAY_SECONDS = 5.0
STALLED_SECONDS = 180.0


class Run:
    """One run on a cluster, which it starts. ``say`` prints a line with the time that has passed."""

    def __init__(self, options: argparse.Namespace, cluster: Cluster) -> None:
        self.ledger = Ledger()
        self.killer: Killer | None = None
        self._options = options
        self._cluster = cluster
        self._chance = random.Random(options.seed)
        self._begun = time.monotonic()

    def say(self, what: str) -> None:
        print(f"{time.monotonic() - self._begun:7.1f} s  {what}", flush=True)

    def whole(self) -> Verdict:
        """Start, train, load and kill, wait, judge."""
        cluster, options = self._cluster, self._options
        cluster.start()
        self.say(f"running in {cluster.folder}: {len(cluster.apis)} APIs and {len(cluster.workers)} workers")
        features = self._train()
        records = Records(cluster.database.url)
        records.watch()
        asked = jobs(self._chance, features, tasks=options.tasks, trainings=options.trainings)
        self.killer = self._killer(len(asked))
        self.killer.start()
        asyncio.run(self._load(asked, self.killer))
        self.killer.stop()
        cluster.await_ready()
        self.say(f"all clients are done; answers by status: {dict(sorted(self.ledger.statuses.items()))}")
        await_end(records, self.say)
        return self._judge(asked, records)

    def _train(self) -> list[str]:
        """The model that predictions are asked of; the names of its features."""
        with Sdk(self._cluster.urls[0], self._cluster.key) as sdk:
            sdk.datasets.add(EXAMPLE, name=DATASET)
            sdk.train_and_wait(dataset=DATASET, target=TARGET, algorithms=["lightgbm"], folds=2, promote=True)
            names = list(sdk.models.schema(DATASET).names)
        self.say("the model is trained")
        return names

    def _killer(self, total: int) -> Killer:
        return Killer(
            self._cluster.members,
            random.Random(self._chance.random()),
            kills=self._options.kills,
            total=total,
            accepted=lambda: len(self.ledger.accepted) + len(self.ledger.refused),
            say=self.say,
        )

    async def _load(self, asked: Sequence[Job], killer: Killer) -> None:
        shared = iter(asked)
        clients = [
            Client(self._cluster.urls, self._cluster.key, self.ledger, random.Random(self._chance.random()))
            for _ in range(self._options.clients)
        ]
        working = asyncio.gather(*(client.work(shared, lambda: killer.limit) for client in clients))
        watching = asyncio.create_task(self._watch(len(asked)))
        try:
            await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            for each in (working, watching):
                each.cancel()
            await asyncio.gather(working, watching, return_exceptions=True)
            for client in clients:
                await client.close()

    async def _watch(self, total: int) -> None:
        """Say how far it is; return when nothing has moved for so long that nothing will."""
        ledger, last, since = self.ledger, (0, 0), time.monotonic()
        while time.monotonic() - since < STALLED_SECONDS:
            await asyncio.sleep(SAY_SECONDS)
            broken = f"{ledger.broken} connections broken, {ledger.statuses[503]} asked to come again"
            self.say(f"accepted {len(ledger.accepted)} of {total}, seen to end {ledger.ended}; {broken}")
            if (now := (len(ledger.accepted), ledger.ended)) != last:
                last, since = now, time.monotonic()
        self.say("nothing moves any more: the clients give up")

    def _judge(self, asked: Sequence[Job], records: Records) -> Verdict:
        cluster = self._cluster
        headers = {"Authorization": f"Bearer {cluster.key}", "Content-Type": "application/json"}
        base = f"{cluster.urls[0]}/api/v1"
        with httpx2.Client(base_url=base, headers=headers, timeout=60, trust_env=False) as http:
            verdict = judge(asked, self.ledger, records, http, cluster.broker)
        assert self.killer is not None
        verdict.find("not killed, or not started again", map(repr, self.killer.failures))
        verdict.find("ended by itself", cluster.stop())
        verdict.find("faults in the logs", cluster.faults())
        return verdict


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 when nothing was lost, doubled or wrong."""
    options = _options(arguments)
    print(f"seed {options.seed}: repeat it with --seed {options.seed}", flush=True)
    # An end by SIGTERM tidies up as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    cluster, well = Cluster(), False
    run = Run(options, cluster)
    try:
        verdict = run.whole()
        well = not verdict.findings
    except KeyboardInterrupt:
        return 130
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        if run.killer is not None:
            run.killer.stop()
        cluster.remove(keep_logs=not well)
        if not well:
            print(f"the logs are in {cluster.folder}", flush=True)
    _print(verdict, run.killer.struck if run.killer else 0)
    return 0 if well else 1


def _print(verdict: Verdict, kills: int) -> None:
    for line in verdict.report():
        print(line)
    counts = {"accepted": verdict.accepted, "finished": verdict.finished, "lost": verdict.count("lost")}
    counts |= {"twice": verdict.count("twice"), "kills": kills, "5xx": verdict.count("5xx")}
    print(*(f"{name}={count}" for name, count in counts.items()))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="chaos", description="Kill everything at random under load; count what is lost."
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of what is asked and killed")
    parser.add_argument("--tasks", type=_positive, default=10_000, help="predictions through the queue")
    parser.add_argument("--trainings", type=_positive, default=20)
    parser.add_argument("--kills", type=_positive, default=30)
    parser.add_argument("--clients", type=_positive, default=32)
    return parser.parse_args(arguments)


def _positive(written: str) -> int:
    number = int(written)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
