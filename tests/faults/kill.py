"""Kills the daemon at random moments while it loads and sends, and looks whether anything is lost.

    TRACKBRIDGE=build/release/trackbridge python3 tests/faults/kill.py [--kills N] [--rows N] [--seed N]

Manifests are dropped while it runs; after the last kill it is brought to rest and examined (aftermath.py).
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import aftermath  # noqa: E402
import manifests  # noqa: E402
from aftermath import Dropped  # noqa: E402
from harness import Bureau, wait_for  # noqa: E402
from scripted_api import ScriptedApi  # noqa: E402


def files_of(rows: int, kills: int, seed: int) -> list[Dropped]:
    """One manifest for about every three kills, of unlike size; the last is the first again."""
    chance = random.Random(seed)
    n = max(2, kills // 3)
    cuts = [0, *sorted(chance.sample(range(1, rows), n - 1)), rows]
    whole = manifests.realistic(rows, seed=seed).rows
    files = [Dropped(f"{i:03}.csv", manifests.Manifest(whole[cuts[i]:cuts[i + 1]]).text()) for i in range(n)]
    return [*files, Dropped(f"{n:03}.csv", files[0].text, again=True)]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    chance = random.Random(options.seed)
    files = files_of(options.rows, options.kills, options.seed)
    start = time.monotonic()
    with ScriptedApi() as api, Bureau(api, endpoint=aftermath.QUICK_ENDPOINT, source=aftermath.QUICK_SOURCE) as bureau:
        for n in range(options.kills):
            # Each life sees some of the files come, and some are there when it starts.
            due = files[len(bureau.dropped):len(files) * (n + 1) // options.kills]
            aftermath.drop(bureau, due[:1])
            bureau.daemon = bureau.spawn("run")
            time.sleep(chance.uniform(0.0, 0.1))
            aftermath.drop(bureau, due[1:])
            time.sleep(chance.choice((0.02, 0.1, 0.4)) * chance.random())
            if bureau.daemon.poll() is not None:
                raise SystemExit(f"the daemon ended by itself with {bureau.daemon.returncode}\n{bureau.log_tail()}")
            bureau.kill()
        aftermath.come_to_rest(bureau, 60)
        wait_for(lambda: api.in_flight == 0, what="the end of the last request")
        found = aftermath.examine(bureau, api, files, options.kills)
        print("\n".join(f"FAULT (seed {options.seed}): {fault}" for fault in found.faults[:40]))
        print(f"kills                {options.kills:6}   (seed {options.seed}, {options.rows} rows in {len(files)} manifests, "
              f"{len(api.requests)} requests)")
    print(f"rows lost            {found.lost:6}")
    print(f"requests unrecorded  {found.unrecorded:6}")
    print(f"requests doubled     {found.doubled:6}")
    print(f"rows left in doubt   {found.in_doubt:6}   (all states: {dict(found.states)})")
    print(f"seconds              {time.monotonic() - start:6.0f}")
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
