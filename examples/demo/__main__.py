"""``python -m examples.demo [--once] [--folder DIR]``: run the demonstration and print what happens.

Rule: exit code 0 only if every charger ended as it must; all programs are stopped whatever happens. Without ``--once``
they keep running after the tables, to look around in, until Ctrl-C.
"""

import argparse
import asyncio
import sys
from pathlib import Path

import aiohttp
from rich.console import Console

from examples.demo import outcome, story
from examples.demo.fleet import FLEET
from examples.demo.programs import Api, DemoFailed, Programs
from examples.demo.site import prepare
from runtime.clock import SystemClock

ACTS = {
    "all": ((story.SIMPLE,), story.OVERLAP),
    "simple": ((story.SIMPLE,),),
    "capacity": ((story.CAPACITY,),),
    "overlap": (story.OVERLAP,),
}
"""What is shown: one scene after the other, the events of a scene overlap."""

WIDTH = 120  # columns where the output is no terminal


async def run(folder: Path, *, once: bool, scenes: tuple[tuple[story.Act, ...], ...], console: Console) -> int:
    """Run the whole demonstration; returns the exit code."""
    clock = SystemClock()
    began = clock.now()
    site = prepare(folder, FLEET, now=began)
    programs = Programs(site)
    async with aiohttp.ClientSession() as http:
        stage = story.Stage(
            site=site,
            programs=programs,
            vtn=Api(http, site, site.vtn_api),
            bridge=Api(http, site, site.bridge_api),
            clock=clock,
            console=console,
            began=began,
        )
        stage.say(f"certificates and settings are in {folder}, logs in {folder / 'logs'}")
        try:
            await story.start(stage)
            faults = await _scenes(stage, scenes)
            if not once:
                await _linger(stage)
        finally:
            await programs.stop()
    return 1 if faults else 0


async def _scenes(stage: story.Stage, scenes: tuple[tuple[story.Act, ...], ...]) -> int:
    faults = 0
    for scene in scenes:
        if story.SIMPLE not in scene:
            await story.wait_all_back(stage)
        published = [(act, await story.publish(stage, act)) for act in scene]
        await story.watch(stage, published)
        for act, event_id in published:
            lines = await outcome.collect(stage, act, event_id)
            stage.console.print(outcome.render(act, lines), highlight=False, soft_wrap=True)
            for line in lines:
                for fault in line.faults:
                    faults += 1
                    stage.console.print(f"[red]{line.charger.identity}: {fault}[/red]")
    for fault in dict.fromkeys(stage.sums):
        faults += 1
        stage.console.print(f"[red]{fault}[/red]")
    if not stage.sums:
        stage.say("the site and the aggregator's chargers kept their limits together, by meter, all the time")
    opts = await stage.vtn.get("/opts?limit=1000")
    stage.say(f"the VTN holds {len(opts['opts'])} opts and telemetry of {len(FLEET)} resources")
    verdict = "[green]every outcome is as expected[/green]" if not faults else f"[red]{faults} faults[/red]"
    stage.say(verdict)
    return faults


async def _linger(stage: story.Stage) -> None:
    stage.say(f"still running; Ctrl-C ends it. VTN API {stage.site.vtn_api}, bridge API {stage.site.bridge_api}")
    stage.say(f"operator console: {stage.console_address}")
    stage.say(f"try: curl --cacert {stage.site.ca} -H 'Authorization: Bearer {stage.site.token}' \\")
    stage.say(f"       {stage.site.vtn_api}/api/v1/events")
    while True:
        stage.programs.check()
        await asyncio.sleep(1)


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="make demo ARGS=...", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the outcome; exit 0 only if all is as expected")
    parser.add_argument(
        "--act", choices=sorted(ACTS), default="all", help="only one scene, or the capacity event alone"
    )
    parser.add_argument("--folder", type=Path, default=Path(".demo"), help="where certificates, data and logs go")
    arguments = parser.parse_args()
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH, force_terminal=False)
    try:
        return asyncio.run(
            run(arguments.folder.resolve(), once=arguments.once, scenes=ACTS[arguments.act], console=console)
        )
    except DemoFailed as error:
        console.print(f"[red]{error}[/red]")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
