"""The killer: ends what runs with SIGKILL, at random, in the midst of the load, and starts it again a while later."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence

from chaos.cluster import Member

MOST_DOWN = 2
"""So much may be away at the same time; the next kill waits."""

LONGEST_PAUSE_SECONDS = 3.0


class Killer:
    """Strikes ``kills`` times while ``total`` jobs are accepted: once in each of as many equal parts of them, at a
    random point of it. A strike that is late holds up the clients (``limit``), so that each meets load.
    """

    def __init__(
        self,
        members: Mapping[str, Sequence[tuple[str, Member]]],
        chance: random.Random,
        *,
        kills: int,
        total: int,
        accepted: Callable[[], int],
        say: Callable[[str], None],
    ) -> None:
        self.struck = 0
        self.failures: list[BaseException] = []
        """What went wrong with the killing or starting."""
        self._members = members
        self._chance = chance
        self._kills = kills
        self._total = total
        self._accepted = accepted
        self._say = say
        self._round: list[Sequence[tuple[str, Member]]] = []
        self._down: set[str] = set()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._restarts: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._run, name="killer")

    @property
    def limit(self) -> int:
        """How many jobs may be begun for now."""
        if self.failures:  # nobody may wait for a strike that does not come
            return self._total
        return min(self._total, int((self.struck + 1) * self._total / self._kills))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Strike no more, and return when everything is up again."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        for restart in self._restarts:
            restart.join()

    def _run(self) -> None:
        try:
            for number in range(self._kills):
                if not self._lie_in_wait((number + self._chance.uniform(0.1, 0.9)) * self._total / self._kills):
                    return
                self._strike()
        except BaseException as error:  # told to the one who judges
            self.failures.append(error)

    def _lie_in_wait(self, point: float) -> bool:
        """Wait until so many jobs are accepted and not too much is down; False when it is all over before that."""
        while not self._stopping.is_set():
            if self._accepted() >= point:
                with self._changed:
                    self._changed.wait_for(lambda: len(self._down) < MOST_DOWN or self._stopping.is_set())
                return not self._stopping.is_set()
            self._stopping.wait(0.005)
        return False

    def _strike(self) -> None:
        name, member = self._victim()
        pause = self._chance.uniform(0, LONGEST_PAUSE_SECONDS)
        member.kill()
        with self._changed:
            self._down.add(name)
        self.struck += 1
        self._say(f"kill {self.struck}/{self._kills}: {name}, to be started again after {pause:.1f} s")
        restart = threading.Thread(target=self._restart, args=(name, member, pause), name=f"restart {name}")
        self._restarts.append(restart)
        restart.start()

    def _victim(self) -> tuple[str, Member]:
        """One that is up. Every kind has its turn, in an order that is new each round; the same chances are taken
        whatever is up, so that a seed means much the same kills each time."""
        if not self._round:
            self._round = self._chance.sample(list(self._members.values()), len(self._members))
        turn = self._round.pop()
        others = [ones for ones in self._members.values() if ones is not turn]
        order = [one for ones in (turn, *others) for one in self._chance.sample(list(ones), len(ones))]
        return next(one for one in order if one[0] not in self._down)

    def _restart(self, name: str, member: Member, pause: float) -> None:
        self._stopping.wait(pause)
        try:
            member.start()
        except BaseException as error:  # told to the one who judges
            self.failures.append(error)
        with self._changed:
            self._down.discard(name)
            self._changed.notify_all()
