"""HUP: the daemon reads its configuration again and becomes its successor, or tells what is wrong and goes on."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
import unittest
from pathlib import Path

import manifests
import oracles
from harness import Bureau, binary
from test_control import TRY_LATER, Desk

STARTED = re.compile(r"trackbridge \S+ started")


class HupTest(Desk):
    def starts(self, bureau: Bureau) -> int:
        return len(STARTED.findall(bureau.log))

    def hup(self, bureau: Bureau) -> None:
        """Until the successor is ready."""
        ready = bureau.notify.count("READY=1")
        os.kill(bureau.pid, signal.SIGHUP)
        bureau.wait(lambda: bureau.notify.count("READY=1") > ready, "READY=1 after a HUP", 30)

    def refused(self, bureau: Bureau, *words: str) -> None:
        """A HUP with what the file says now is refused with these words, and the daemon works on with what it has."""
        self.assertTrue((bureau.root / "good.yaml").exists())
        starts, said = self.starts(bureau), bureau.log.count("HUP: ")
        self.hup(bureau)
        line = next(line for line in bureau.log.splitlines()[::-1] if "HUP: " in line)
        self.assertEqual((self.starts(bureau), bureau.log.count("HUP: ")), (starts, said + 1))
        self.assertIn("level=err", line)
        for word in words:
            self.assertIn(word, line)
        done = subprocess.run([binary(), "-c", str(bureau.root / "good.yaml"), "hold", "--card", "nobody"], capture_output=True, timeout=20)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_good_configuration_is_in_force_after_it_in_the_same_process(self) -> None:
        bureau = self.scene(environment={"WATCHDOG_USEC": "200000"})
        bureau.start()
        pid, socket = bureau.pid, bureau.root / "control.sock"
        born = socket.stat().st_ctime_ns
        (bureau.root / "tours" / "in").mkdir(parents=True)
        bureau.config["sources"].append(bureau.config["sources"][0] | {"name": "tours", "drop": str(bureau.root / "tours" / "in")})
        bureau.write_config()
        self.hup(bureau)
        self.assertEqual(self.starts(bureau), 2)
        assert bureau.daemon
        self.assertIsNone(bureau.daemon.poll())
        self.assertEqual(Path(f"/proc/{pid}/comm").read_text(), "trackbridge\n")
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        bureau.drop("b.csv", manifests.cards(["card-2"]), source=1)
        bureau.wait_manifest("a.csv")
        bureau.wait_manifest("b.csv")
        bureau.wait(lambda: socket.exists() and socket.stat().st_ctime_ns != born, "a socket of its own")
        self.do(bureau, "pause", "bankfr")
        fed = bureau.notify.count("WATCHDOG=1")
        bureau.wait(lambda: bureau.notify.count("WATCHDOG=1") >= fed + 3, "a watchdog that is fed")
        lines = [line for _, line in bureau.notify.messages if line in ("RELOADING=1", "READY=1") or line.startswith("MONOTONIC_USEC=")]
        self.assertEqual([lines[0], lines[1], lines[2].split("=")[0], lines[3]], ["READY=1", "RELOADING=1", "MONOTONIC_USEC", "READY=1"])
        self.assertLess(abs(int(lines[2].split("=")[1]) - time.monotonic_ns() // 1000), 60_000_000)
        self.assertEqual(bureau.stop(), 0)
        self.sound(bureau)

    def test_nothing_is_left_open_but_the_lock(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", manifests.realistic(20))
        bureau.start()
        bureau.wait_manifest("a.csv")

        def descriptors() -> list[str]:
            folder = f"/proc/{bureau.pid}/fd"
            return sorted(re.sub(r"\d+", "N", os.readlink(f"{folder}/{fd}")) for fd in os.listdir(folder))

        self.hup(bureau)
        self.do(bureau, "hold", "--card", "nobody")
        first = descriptors()
        for _ in range(3):
            self.hup(bureau)
            self.do(bureau, "hold", "--card", "nobody")
        bureau.wait(lambda: descriptors() == first, "the same descriptors")
        self.assertEqual(sum(name.endswith("/lock") for name in first), 1)

    def test_a_bad_configuration_keeps_the_old_one(self) -> None:
        bureau = self.scene()
        bureau.start()
        good = bureau.config_path.read_text()
        (bureau.root / "good.yaml").write_text(good)
        lines = good.splitlines()
        at = next(i for i, line in enumerate(lines) if line.lstrip().startswith("concurrency:"))
        lines[at] = lines[at].replace("concurrency", "concurency")
        bureau.config_path.write_text("\n".join(lines) + "\n")
        self.refused(bureau, f"{bureau.config_path}:{at + 1}:", "concurency", "concurrency")
        bureau.config_path.unlink()
        self.refused(bureau, str(bureau.config_path))
        bureau.config_path.write_text(good.replace(str(bureau.pki / "client.key"), str(bureau.pki / "jwt.key")))
        self.refused(bureau, "endpoint bankfr", "jwt.key")
        bureau.config_path.write_text(good.replace(str(bureau.pki / "jwt.key"), "/nowhere/jwt.key"))
        self.refused(bureau, "/nowhere/jwt.key")
        bureau.config_path.write_text(good.replace(str(bureau.in_directory), "/nowhere/in"))
        self.refused(bureau, "/nowhere/in")
        bureau.config_path.write_text(good.replace(str(bureau.root / "control.sock"), "/nowhere/control.sock"))
        self.refused(bureau, "/nowhere/")
        bureau.config_path.write_text(good)
        bureau.drop("a.csv", manifests.realistic(5))
        bureau.wait_manifest("a.csv")
        self.hup(bureau)
        self.assertEqual(self.starts(bureau), 2)
        self.assertEqual(bureau.stop(), 0)

    def test_state_dir_does_not_change_by_it(self) -> None:
        bureau = self.scene()
        bureau.start()
        other = bureau.root / "other"
        other.mkdir()
        shutil.copy(bureau.config_path, bureau.root / "good.yaml")
        bureau.config["state_dir"] = str(other)
        bureau.write_config()
        self.refused(bureau, str(other), str(bureau.state), "stop the daemon")

    def test_a_file_that_turns_bad_while_it_drains_is_not_acted_on(self) -> None:
        bureau = self.scene()
        api = self.api_of(bureau)
        bureau.drop("a.csv", manifests.cards(["slow-1", "card-2"]))
        bureau.start()
        bureau.wait(lambda: api.in_flight == 1 and bureau.states().get("accepted") == 1, "the slow request alone")
        good = bureau.config_path.read_text()
        ready = bureau.notify.count("READY=1")
        os.kill(bureau.pid, signal.SIGHUP)
        bureau.wait(lambda: "may finish" in bureau.log, "the drain")
        bureau.config_path.write_text("nonsense: true\n")
        bureau.wait(lambda: bureau.notify.count("READY=1") > ready, "READY=1")
        bureau.config_path.write_text(good)
        self.assertIn("stays in force", bureau.log)
        self.assertEqual(self.starts(bureau), 1)
        bureau.drop("b.csv", manifests.cards(["card-3"]))
        bureau.wait_manifest("b.csv")
        self.assertEqual(bureau.states(), {"accepted": 3})
        self.sound(bureau)

    def test_what_is_in_flight_finishes_and_a_second_hup_is_noted_once(self) -> None:
        bureau = self.scene(endpoint={"concurrency": 4})
        api = self.api_of(bureau)
        bureau.drop("a.csv", manifests.cards([f"slow-{i}" for i in range(8)]))
        bureau.start()
        bureau.wait(lambda: api.in_flight >= 2 and len(api.requests) >= 2, "requests under way")
        ready = bureau.notify.count("READY=1")
        for _ in range(3):
            os.kill(bureau.pid, signal.SIGHUP)
            time.sleep(0.1)
        # Operators are heard while it drains.
        self.do(bureau, "hold", "--card", "slow-7")
        bureau.wait(lambda: bureau.notify.count("READY=1") > ready, "READY=1", 30)
        self.do(bureau, "release", "--card", "slow-7")
        bureau.wait_manifest("a.csv", seconds=30)
        self.assertEqual(bureau.states(), {"accepted": 8})
        self.assertEqual((bureau.log.count("HUP again"), self.starts(bureau)), (1, 2))
        self.sound(bureau)

    def test_term_while_it_drains_stops(self) -> None:
        bureau = self.scene()
        api = self.api_of(bureau)
        bureau.drop("a.csv", manifests.cards(["slow-1"]))
        bureau.start()
        bureau.wait(lambda: api.in_flight == 1 and api.requests, "the request")
        os.kill(bureau.pid, signal.SIGHUP)
        bureau.wait(lambda: "may finish" in bureau.log, "the drain")
        self.assertEqual(bureau.stop(), 0)
        self.assertEqual((bureau.states(), self.starts(bureau)), ({"accepted": 1}, 1))

    def test_what_hangs_is_in_doubt_after_stop_timeout(self) -> None:
        bureau = self.scene(top={"stop_timeout": "1s"}, endpoint={"timeout": "1s"})
        api = self.api_of(bureau)
        bureau.drop("a.csv", manifests.cards(["hang-1", "card-2"]))
        bureau.start()
        bureau.wait(lambda: api.of_card("hang-1"), "the request")
        self.hup(bureau)
        bureau.wait_row("hang-1", "in_doubt")
        bureau.wait_row("card-2", "accepted")
        self.assertEqual(len(api.of_card("hang-1")), 1)
        self.sound(bureau)

    def test_a_new_key_is_read(self) -> None:
        bureau = self.scene()
        own = bureau.root / "own"
        shutil.copytree(bureau.pki, own)
        bureau.config["endpoints"][0]["jwt"]["key"] = str(own / "jwt.key")
        bureau.write_config()
        good = (own / "jwt.key").read_bytes()
        bureau.start()
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        bureau.wait_manifest("a.csv")
        done = subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
                              capture_output=True, check=True)
        (own / "jwt.key").write_bytes(done.stdout)
        self.hup(bureau)
        bureau.drop("b.csv", manifests.cards(["card-2"]))
        bureau.wait_endpoint("paused", "credentials")
        (own / "jwt.key").write_bytes(good)
        self.hup(bureau)
        bureau.cli("resume", "bankfr")
        bureau.wait_manifest("b.csv")
        self.assertEqual(bureau.states(), {"accepted": 2})

    def test_no_other_daemon_gets_the_directory_in_between(self) -> None:
        bureau = self.scene()
        bureau.start()
        stop = threading.Event()
        ended: list[int] = []

        def intrude() -> None:
            while not stop.is_set():
                done = subprocess.run([binary(), "-c", str(bureau.config_path), "hold", "--all"], stdin=subprocess.DEVNULL,
                                      capture_output=True, timeout=20)
                ended.append(done.returncode)
                done = subprocess.run([binary(), "-c", str(bureau.config_path), "run", "--until-idle"], stdin=subprocess.DEVNULL,
                                      capture_output=True, timeout=20)
                ended.append(done.returncode - 1000)

        intruder = threading.Thread(target=intrude)
        intruder.start()
        try:
            for _ in range(10):
                self.hup(bureau)
        finally:
            stop.set()
            intruder.join()
        self.assertEqual(self.starts(bureau), 11)
        self.assertEqual({status for status in ended if status < 0}, {TRY_LATER - 1000})
        self.assertLessEqual({status for status in ended if status >= 0}, {0, TRY_LATER})
        self.assertEqual(bureau.stop(), 0)

    def test_twenty_while_rows_are_sent_lose_nothing_and_make_no_doubt(self) -> None:
        rows = 3000
        bureau = self.scene()
        api = self.api_of(bureau)
        api.delay = 0.005
        bureau.start()
        bureau.drop("a.csv", manifests.realistic(rows))
        for n in range(20):
            bureau.wait(lambda: len(api.requests) >= n * rows // 22, "requests", 60)
            self.hup(bureau)
        bureau.wait_manifest("a.csv", seconds=120)
        self.assertEqual(bureau.states(), {"accepted": rows})
        self.assertEqual((self.starts(bureau), len(api.requests)), (21, rows))
        self.assertEqual(bureau.stop(), 0)
        self.sound(bureau)

    def test_a_kill_at_any_moment_of_it_is_a_crash_like_any_other(self) -> None:
        bureau = self.scene()
        api = self.api_of(bureau)
        api.delay = 0.01
        chance = random.Random(7)
        bureau.drop("a.csv", manifests.realistic(400))
        bureau.start()
        for n in range(12):
            bureau.wait(lambda: len(api.requests) >= n * 20, "requests", 60)
            os.kill(bureau.pid, signal.SIGHUP)
            time.sleep(chance.uniform(0, 0.15))
            bureau.kill()
            bureau.start()
        bureau.wait(bureau.at_rest, "rest", 60)
        self.assertLessEqual(set(bureau.states()), {"accepted", "in_doubt"})
        self.assertEqual({row["detail"] for row in bureau.rows("state = 'in_doubt'")} - {"crash"}, set())
        self.assertEqual(bureau.stop(), 0)
        # A request that a kill cut off is malformed, and nobody's fault.
        faults = oracles.balance(bureau) + oracles.files_against_rows(bureau) + oracles.requests_against_rows(bureau, api.requests)
        self.assertEqual(faults, [])

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root and setpriv, to be somebody else")
    def test_it_needs_no_privileges(self) -> None:
        bureau = self.scene(wrapper=["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--no-new-privs"])
        own = bureau.root / "own"
        shutil.copytree(bureau.pki, own)
        bureau.config_path.write_text(bureau.config_path.read_text().replace(str(bureau.pki), str(own)))
        for path in [bureau.root, *bureau.root.rglob("*")]:
            os.chown(path, 54321, 54321)
        bureau.start()
        ready = bureau.notify.count("READY=1")
        assert bureau.daemon
        os.kill(bureau.daemon.pid, signal.SIGHUP)
        bureau.wait(lambda: bureau.notify.count("READY=1") > ready, "READY=1")
        self.assertEqual(self.starts(bureau), 2)
        os.kill(bureau.daemon.pid, signal.SIGTERM)
        self.assertEqual(bureau.daemon.wait(20), 0)

    def test_until_idle_ends_as_it_would_without_it(self) -> None:
        bureau = self.scene()
        api = self.api_of(bureau)
        bureau.drop("a.csv", manifests.cards(["slow-1", "card-2"]))
        bureau.daemon = bureau.spawn("run", "--until-idle")
        bureau.wait(lambda: api.of_card("slow-1"), "the request")
        os.kill(bureau.pid, signal.SIGHUP)
        self.assertEqual(bureau.daemon.wait(30), 0)
        self.assertEqual((bureau.states(), self.starts(bureau)), ({"accepted": 2}, 1))


if __name__ == "__main__":
    unittest.main()
