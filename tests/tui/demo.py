"""The app over the fake fleet, to look at it: `python tests/tui/demo.py [--ascii]`.

Enter twice on csb0 starts a job that takes about half a minute.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fakes import JOB, NOT_RESTARTED, STEP_IDS, FakeLatest, FakeSession, make_fleet

from nixfleet_core.job.events import JobEnd, JobStart, Retry, StepEnd, StepStart, Tick
from nixfleet_core.nix.log_state import Progress
from nixfleet_core.plan.model import Plan
from nixfleet_core.session.protocol import Busy, Commit, Launched
from tui.app import NixFleetApp
from tui.settings import AppSettings


class DemoSession(FakeSession):
    """Plays a job in real time once it is launched."""

    async def launch(self, plan: Plan, job: str) -> Launched | Busy:
        self._player = asyncio.create_task(self._play())
        return await super().launch(plan, job)

    async def _play(self) -> None:
        await self.say(JobStart(at=int(time.time())))
        for step in STEP_IDS:
            await self.say(StepStart(step=step, at=int(time.time()), log=0))
            if step == "pull":
                await self.log("\x1b[31;1merror:\x1b[0m unable to access: connection reset\n")
                await self.say(Retry(step=step, at=int(time.time()), attempt=2, tries=5, wait=4))
                await asyncio.sleep(4)
            for number in range(47 if step == "rebuild" else 3):
                await asyncio.sleep(0.3)
                await self.log(
                    f"building '/nix/store/{'abcd' * 8}-\x1b[1mpackage-{number}\x1b[0m.drv'...\n"
                    * (40 if step == "rebuild" else 1)
                )
                await self.say(Tick(at=int(time.time()), log=number))
                if step == "rebuild":
                    await self.say(Progress(done=number + 1, expected=47))
            await self.say(StepEnd(step=step, at=int(time.time()), status="ok", log=0))
        await self.say(JobEnd(at=int(time.time()), outcome="done"), None)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        fleet = make_fleet(Path(folder))
        fleet[0] = DemoSession(fleet[0].host, Path(folder), probe=NOT_RESTARTED)
        fleet[0].says["incoming"] = (Commit("c" * 40, "Raise the limit of open files"),)
        settings = AppSettings(ascii="--ascii" in sys.argv)
        NixFleetApp(fleet, FakeLatest(), settings=settings, new_job_id=lambda: JOB).run()


if __name__ == "__main__":
    main()
