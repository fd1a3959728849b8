"""``python -m examples.demo [--once] [--proxy] [--kill] [--folder DIR]``: run the demonstration and print what happens.

Rule: exit code 0 only if every charger ended as it must; all programs are stopped whatever happens. Without ``--once``
they keep running after the tables, to look around in, until Ctrl-C.
"""

import argparse
import asyncio
import sys
from pathlib import Path

import aiohttp
from rich.console import Console

from examples.demo import acts, behind, outcome, story
from examples.demo.crash import crash, lasting
from examples.demo.fleet import playing
from examples.demo.prepare import prepare
from examples.demo.programs import Api, DemoFailed, Programs
from examples.demo.stage import Stage
from examples.demo.watch import watching
from runtime.clock import SystemClock

ACTS = {
    "all": ((acts.SIMPLE,), acts.OVERLAP),
    "simple": ((acts.SIMPLE,),),
    "capacity": ((acts.CAPACITY,),),
    "overlap": (acts.OVERLAP,),
    "short": ((acts.SHORT,),),
}
"""What is shown: one scene after the other, the events of a scene overlap."""

WIDTH = 120  # columns where the output is no terminal


async def run(
    folder: Path,
    *,
    once: bool,
    scenes: tuple[tuple[acts.Act, ...], ...],
    console: Console,
    proxy: bool = False,
    kill: bool = False,
) -> int:
    """Run the whole demonstration; returns the exit code."""
    clock = SystemClock()
    began = clock.now()
    fleet = playing([act.key for scene in scenes for act in scene])
    site = prepare(folder, fleet, now=began, proxy=proxy)
    programs = Programs(site, fleet)
    async with aiohttp.ClientSession() as http:
        stage = Stage(
            site=site,
            fleet=fleet,
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
            faults = await _scenes(stage, scenes, kill=kill)
            if site.csms is not None:
                faults += await _told_the_csms(stage, http, site.csms)
            stage.say("[green]every outcome is as expected[/green]" if not faults else f"[red]{faults} faults[/red]")
            if not once:
                await _linger(stage)
        finally:
            await programs.stop()
    return 1 if faults else 0


async def _scenes(stage: Stage, scenes: tuple[tuple[acts.Act, ...], ...], *, kill: bool) -> int:
    faults = 0
    for scene in scenes:
        if acts.SIMPLE not in scene and acts.SHORT not in scene:
            await story.wait_all_back(stage)
        killed = kill and scene is acts.OVERLAP
        watch = watching(stage, [await story.publish(stage, act) for act in (lasting(scene) if killed else scene)])
        for fault in await crash(watch) if killed else ():
            faults += 1
            stage.console.print(f"[red]{fault}[/red]")
        await watch.to_the_end()
        for event in watch.events:
            lines = await outcome.collect(stage, event)
            stage.console.print(outcome.render(event.act, lines), highlight=False, soft_wrap=True)
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
    stage.say(f"the VTN holds {len(opts['opts'])} opts and telemetry of {len(stage.fleet)} resources")
    return faults


async def _told_the_csms(stage: Stage, http: aiohttp.ClientSession, csms: behind.Csms) -> int:
    """Ask the CPO's CSMS what it has seen of all this."""
    seen = await behind.summary(http, csms)
    stage.say(behind.sentence(seen))
    faults = behind.faults(seen, stage.fleet)
    for fault in faults:
        stage.console.print(f"[red]CSMS: {fault}[/red]")
    return len(faults)


async def _linger(stage: Stage) -> None:
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
    parser.add_argument(
        "--proxy", action="store_true", help="the chargers belong to a CPO's own CSMS; the bridge stands in between"
    )
    parser.add_argument("--kill", action="store_true", help="kill -9 of the bridge in the middle of the overlap")
    parser.add_argument("--folder", type=Path, default=Path(".demo"), help="where certificates, data and logs go")
    arguments = parser.parse_args()
    if arguments.kill and acts.OVERLAP not in ACTS[arguments.act]:
        parser.error("--kill needs the overlap")
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH, force_terminal=False)
    try:
        return asyncio.run(
            run(
                arguments.folder.resolve(),
                once=arguments.once,
                scenes=ACTS[arguments.act],
                console=console,
                proxy=arguments.proxy,
                kill=arguments.kill,
            )
        )
    except DemoFailed as error:
        console.print(f"[red]{error}[/red]")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
