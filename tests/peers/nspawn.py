"""The Debian package in a booted systemd: from `apt-get install` to the first accepted row as /usr/share/doc/trackbridge/README.Debian tells
it, and what the unit promises from there.

    python3 tests/peers/nspawn.py            # as root; builds the package of what is committed
    TRACKBRIDGE_DEB=FILE python3 tests/peers/nspawn.py

Takes minutes; a Debian mirror is needed the first time. The scripted API is on this machine's loopback, which the containers share.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import peers
from container import Container, tree

import pki
from scripted_api import ScriptedApi

ROOT = peers.HERE.parents[1]
UNITS = ("trackbridge.service", "trackbridge-maintenance.service", "trackbridge-maintenance.timer")
DROP = "/srv/trackbridge/lyon/in"
DATABASE = "/var/lib/trackbridge/queue.db"
HEADER = "CARD_REF;STATUS;SITE;TRACK_NO;ZIP;COUNTRY;SHIP_DATE\n"
SLOW = 90.0  # seconds that a busy machine may take for anything

files: Path  # with the packages and the keys; /files in the containers
api: ScriptedApi


def make_packages() -> None:
    """now.deb, and next.deb of a higher version."""
    given = os.environ.get("TRACKBRIDGE_DEB")
    if given:
        shutil.copy(given, files / "now.deb")
    else:
        subprocess.run([ROOT / "tools" / "package.sh", files / "built"], check=True, stdin=subprocess.DEVNULL)
        next((files / "built").glob("*.deb")).rename(files / "now.deb")
    unpacked = files / "unpacked"
    subprocess.run(["dpkg-deb", "-R", files / "now.deb", unpacked], check=True)
    control = unpacked / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: .*", "Version: 99.0-1", control.read_text()))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", unpacked, files / "next.deb"], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(unpacked)


def make_keys() -> None:
    """Under the names that the documents give them."""
    keys = pki.make(str(files / "pki"))
    (files / "keys").mkdir()
    for name, given in (("jwt.key", "d1-jwt.key"), ("client.key", "d1-client.key"), ("client.pem", "d1-client.pem"), ("ca.pem", "d1-ca.pem")):
        shutil.copy(keys / name, files / "keys" / given)


class Machine(Container):
    """A container in which somebody installs trackbridge."""

    def install(self, name: str = "now.deb") -> str:
        return self.run("apt-get", "install", "-y", "--no-install-recommends", f"/files/{name}").stdout

    def state(self, unit: str = "trackbridge.service") -> str:
        return self.run("systemctl", "is-active", unit, check=False).stdout.strip()

    def show(self, what: str, unit: str = "trackbridge.service") -> str:
        return self.run("systemctl", "show", "-P", what, unit).stdout.strip()

    def exposure(self, unit: str) -> float:
        """By systemd-analyze security, drop-ins included."""
        said = self.run("systemd-analyze", "security", "--offline=true", f"/usr/lib/systemd/system/{unit}").stdout
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
        assert found
        print(f"{unit}: exposure {found[1]}", flush=True)
        return float(found[1])

    def journal(self, unit: str = "trackbridge.service") -> str:
        return self.run("journalctl", "-q", "--no-pager", "-o", "cat", "-u", unit).stdout

    def make_users(self) -> None:
        """Of the factory; one who reads; one who reads and commands; one who has nothing to do with it."""
        for name in ("lyon", "rita", "otto", "eve"):
            self.run("useradd", "--user-group", "--no-create-home", name)

    def give_groups(self) -> None:
        self.run("usermod", "-aG", "trackbridge", "rita")
        self.run("usermod", "-aG", "trackbridge,trackbridge-operators", "otto")

    def write_configuration(self) -> None:
        """What somebody changes in the file that was installed, whose places and columns are as in the documents."""
        self.run("sed", "-i", "-e", f"s|https://api.d1.thalescloud.io|{api.url}|", "-e", "s|# ca: d1-ca.pem  |ca: d1-ca.pem|",
                 "-e", "s|^version: 0|version: 1|", "/etc/trackbridge/trackbridge.yaml")
        self.run("install", "-m", "0644", "/files/keys/d1-ca.pem", "/etc/trackbridge/d1-ca.pem")

    def steps(self) -> list[str]:
        """The commands of README.Debian, in its order."""
        text = self.run("cat", "/usr/share/doc/trackbridge/README.Debian").stdout
        return [line.strip() for line in text.splitlines() if line.startswith(" " * 8)]

    def follow(self, step: str) -> None:
        self.sh(f"cd /files/keys; {step}")

    def drop(self, name: str, cards: list[str]) -> None:
        """As the factory's user, who writes it in place."""
        rows = "".join(f"{card};PRODUCED;Lyon;;;;\n" for card in cards)
        self.run("sh", "-c", f"umask 027; cat > {DROP}/{name}", user="lyon", text=HEADER + rows)

    def rows(self, where: str) -> int:
        done = self.run("sqlite3", "-readonly", DATABASE, f"SELECT count(*) FROM status WHERE {where}", user="rita", check=False)
        return int(done.stdout) if done.returncode == 0 else -1

    def wait_accepted(self, cards: list[str]) -> None:
        listed = ", ".join(f"'{card}'" for card in cards)
        self.wait(lambda: self.rows(f"state = 'accepted' AND card_id IN ({listed})") == len(cards), f"{cards} accepted", SLOW)

    def set_up(self) -> None:
        """All of the first use at once."""
        self.install()
        self.make_users()
        self.write_configuration()
        for step in self.steps():
            self.follow(step)
        self.give_groups()


class FirstUse(unittest.TestCase):
    def test_from_the_package_to_the_first_accepted_row(self) -> None:
        begin = time.monotonic()
        with Machine(files) as machine:
            said = machine.install()
            self.assertIn("README.Debian", said)
            self.assertEqual((machine.state(), machine.show("UnitFileState")), ("inactive", "disabled"))
            self.assertEqual((machine.state(UNITS[2]), machine.show("UnitFileState", UNITS[2])), ("inactive", "disabled"))
            self.assertLessEqual(machine.exposure(UNITS[0]), 1.2)
            self.assertLessEqual(machine.exposure(UNITS[1]), 1.0)

            # Started by mistake, it says what to do, and is not started again and again.
            self.assertNotEqual(machine.run("systemctl", "start", "trackbridge", check=False).returncode, 0)
            self.assertEqual((machine.show("ExecMainStatus"), machine.show("NRestarts"), machine.state()), ("78", "0", "failed"))
            self.assertIn("this file is not configured yet", machine.journal())
            self.assertEqual(machine.run("trackbridge", "check", check=False).returncode, 78)

            machine.make_users()
            machine.write_configuration()
            steps = machine.steps()
            self.assertEqual(len([s for s in steps if s.startswith("install -m")]), 2, steps)
            for step in steps:
                machine.follow(step)
            machine.give_groups()
            self.assertEqual((machine.state(), machine.show("UnitFileState")), ("active", "enabled"))
            check = machine.run("trackbridge", "check", "--online").stdout
            self.assertNotIn("error ", check)
            self.assertIn("ok       unit: ", check)
            self.assertLessEqual(machine.exposure(UNITS[0]), 1.4)  # with the drop-in: CAP_LEASE, and the factory's group
            machine.drop("first.csv", ["first-1"])
            machine.wait_accepted(["first-1"])
            print(f"from booting to the first accepted row: {time.monotonic() - begin:.0f} s\n{check}", flush=True)
            self.assertEqual(machine.sh(f"ls -A {DROP}").stdout, "")
            receipt = machine.sh("cat /srv/trackbridge/lyon/out/first.1.receipt.csv", user="lyon").stdout
            self.assertIn("first-1,PRODUCTION,accepted", receipt)
        self.assertEqual(api.bad, [])

    def test_what_is_missing_is_told(self) -> None:
        with Machine(files) as machine:
            machine.install()
            machine.make_users()
            machine.write_configuration()
            for step in machine.steps()[:5]:  # keys and directories, and nothing told to the service
                machine.follow(step)
            check = machine.run("trackbridge", "check", check=False).stdout
            self.assertRegex(check, r"warning  unit: trackbridge\.service lacks.* ReadWritePaths=/srv/trackbridge/lyon/in.* LoadCredential=d1-jwt-key")
            self.assertIn("check --unit", check)
            self.assertNotEqual(machine.run("systemctl", "start", "trackbridge", check=False).returncode, 0)
            self.assertEqual((machine.show("ExecMainStatus"), machine.show("NRestarts")), ("78", "0"))
            self.assertIn("LoadCredential=d1-jwt-key", machine.journal())
            # A key that is not where it was said to be: told by systemd, once.
            machine.sh("trackbridge check --unit | install -D -m 0644 /dev/stdin /etc/systemd/system/trackbridge.service.d/site.conf; "
                       "systemctl daemon-reload; mv /etc/trackbridge/d1-jwt.key /etc/trackbridge/other")
            self.assertNotEqual(machine.run("systemctl", "start", "trackbridge", check=False).returncode, 0)
            machine.wait(lambda: machine.state() == "failed", "the failure")
            time.sleep(7)  # more than RestartSec=
            self.assertEqual((machine.state(), machine.show("NRestarts")), ("failed", "0"))


class Running(unittest.TestCase):
    machine: Machine

    @classmethod
    def setUpClass(cls) -> None:
        cls.machine = cls.enterClassContext(Machine(files))
        cls.machine.set_up()

    def setUp(self) -> None:
        self.machine.wait(lambda: self.machine.state() == "active", "the service", SLOW)

    def test_units_are_sound(self) -> None:
        done = self.machine.run("systemd-analyze", "verify", *(f"/usr/lib/systemd/system/{unit}" for unit in UNITS))
        self.assertEqual(done.stdout + done.stderr, "")

    def test_who_reads_and_who_commands(self) -> None:
        machine = self.machine
        machine.drop("groups.csv", ["group-1"])
        machine.wait_accepted(["group-1"])
        self.assertEqual(machine.rows("card_id = 'group-1'"), 1)
        self.assertEqual(machine.run("trackbridge", "status", user="rita").returncode, 0)
        denied = machine.run("trackbridge", "pause", "bankfr", user="rita", check=False)
        self.assertEqual(denied.returncode, 77)
        self.assertIn("trackbridge-operators", denied.stderr)
        self.assertEqual(machine.run("sh", "-c", f"touch {DROP}/x", user="rita", check=False).returncode, 1)
        self.assertEqual(machine.run("trackbridge", "pause", "bankfr", "--reason", "a test", user="otto").returncode, 0)
        self.assertEqual(machine.run("trackbridge", "resume", "bankfr", user="otto").returncode, 0)
        who = machine.run("sqlite3", "-readonly", DATABASE, "SELECT user, action, reason FROM operator_action_log WHERE reason = 'a test'",
                          user="otto").stdout
        self.assertEqual(who.strip(), "otto|pause|a test")
        for command in (["trackbridge", "status"], ["trackbridge", "pause", "bankfr"], ["sqlite3", "-readonly", DATABASE, "SELECT 1 FROM status"],
                        ["ls", "/var/lib/trackbridge"], ["cat", "/etc/trackbridge/trackbridge.yaml"]):
            self.assertNotEqual(machine.run(*command, user="eve", check=False).returncode, 0, command)

    def test_the_keys_are_the_service_s_alone(self) -> None:
        given = "/run/credentials/trackbridge.service/d1-jwt-key"
        self.assertEqual(self.machine.run("test", "-s", given).returncode, 0)
        for user in ("rita", "otto", "lyon", "eve", "trackbridge-maintenance"):
            for path in (given, "/etc/trackbridge/d1-jwt.key", "/etc/trackbridge/d1-client.key"):
                self.assertNotEqual(self.machine.run("cat", path, user=user, check=False).returncode, 0, (user, path))
        self.assertNotEqual(self.machine.run("cat", "/etc/trackbridge/d1-jwt.key", user="trackbridge", check=False).returncode, 0)

    def test_it_can_write_nothing_else(self) -> None:
        machine = self.machine
        pid = machine.show("MainPID")
        for folder in ("/etc/trackbridge", "/srv", "/usr/lib", "/var/lib/trackbridge-backup", "/opt"):
            inside = machine.run("nsenter", "-t", pid, "-m", "touch", f"{folder}/escaped", check=False)
            self.assertNotEqual(inside.returncode, 0, folder)
        status = machine.run("cat", f"/proc/{pid}/status").stdout
        self.assertRegex(status, r"CapEff:\s+0000000010000000\n")  # CAP_LEASE, by the drop-in
        self.assertRegex(status, r"NoNewPrivs:\s+1\n")

    def test_a_file_that_another_user_still_writes_is_left_alone(self) -> None:
        machine = self.machine
        row = "{};PRODUCED;Lyon;;;;\\n"
        script = f"umask 027; (printf '{HEADER[:-1]}\\n{row.format('open-1')}'; sleep 30; printf '{row.format('open-2')}') > {DROP}/open.csv"
        machine.sh(f'setsid sh -c "{script}" >/dev/null 2>&1 &', user="lyon")
        # What it sees without having seen it opened counts as complete when it stands still for 10 s, unless the writer is seen.
        machine.run("systemctl", "restart", "trackbridge")
        time.sleep(20)
        self.assertEqual((machine.sh(f"ls -A {DROP}").stdout, machine.rows("card_id = 'open-1'")), ("open.csv\n", 0))
        machine.wait_accepted(["open-1", "open-2"])

    def test_killed_it_comes_back_sound(self) -> None:
        machine = self.machine
        restarts = int(machine.show("NRestarts"))
        machine.drop("killed.csv", [f"killed-{n}" for n in range(50)])
        machine.wait(lambda: machine.rows("card_id LIKE 'killed-%'") == 50, "the rows", SLOW)
        machine.run("systemctl", "kill", "-s", "KILL", "trackbridge")
        machine.wait(lambda: int(machine.show("NRestarts")) == restarts + 1 and machine.state() == "active", "the restart", SLOW)
        machine.wait(lambda: machine.rows("card_id LIKE 'killed-%' AND state IN ('accepted', 'in_doubt')") == 50, "the rest", SLOW)
        self.assertEqual(machine.run("trackbridge", "verify").returncode, 0)

    def test_the_watchdog_ends_one_that_hangs(self) -> None:
        machine = self.machine
        folder = "/run/systemd/system/trackbridge.service.d"
        machine.sh(f"mkdir -p {folder}; printf '[Service]\\nWatchdogSec=3s\\n' > {folder}/watchdog.conf; systemctl daemon-reload; "
                   "systemctl restart trackbridge")
        try:
            pid = machine.show("MainPID")
            time.sleep(7)  # twice that time and more: one that works is left alone
            self.assertEqual((machine.show("MainPID"), machine.state()), (pid, "active"))
            machine.sh(f"kill -STOP {pid}")
            machine.wait(lambda: machine.state() == "active" and machine.show("MainPID") not in (pid, "0"), "a new process", SLOW)
            self.assertIn("Watchdog timeout", machine.journal())
        finally:
            machine.sh(f"rm {folder}/watchdog.conf; systemctl daemon-reload; systemctl restart trackbridge")

    def test_a_good_configuration_is_taken_over_and_a_bad_one_is_not(self) -> None:
        machine = self.machine
        pid, starts = machine.show("MainPID"), machine.journal().count(" started: ")
        machine.run("sed", "-i", "s|concurrency: 8|concurrency: 4|", "/etc/trackbridge/trackbridge.yaml")
        machine.run("systemctl", "reload", "trackbridge")
        machine.wait(lambda: machine.journal().count(" started: ") > starts and machine.state() == "active", "the new start", SLOW)
        self.assertEqual(machine.show("MainPID"), pid)
        machine.run("sed", "-i", "s|concurrency: 4|concurency: 4|", "/etc/trackbridge/trackbridge.yaml")
        try:
            machine.run("systemctl", "reload", "trackbridge")
            machine.wait(lambda: "did you mean 'concurrency'" in machine.journal(), "the word about it", SLOW)
            self.assertEqual((machine.show("MainPID"), machine.state()), (pid, "active"))
            machine.drop("reloaded.csv", ["reloaded-1"])
        finally:
            machine.run("sed", "-i", "s|concurency: 4|concurrency: 8|", "/etc/trackbridge/trackbridge.yaml")
        machine.wait_accepted(["reloaded-1"])

    def test_maintenance_makes_backups_and_purges(self) -> None:
        machine = self.machine
        folder = "/run/systemd/system/trackbridge-maintenance.service.d"
        machine.sh(f"mkdir -p {folder}; printf '[Service]\\nEnvironment=KEEP=2\\n' > {folder}/keep.conf; systemctl daemon-reload")
        for _ in range(3):
            machine.run("systemctl", "start", "trackbridge-maintenance")
            time.sleep(1.1)  # they are named after the second
        backups = machine.sh("ls -l /var/lib/trackbridge-backup").stdout.splitlines()[1:]
        self.assertEqual(len(backups), 2, backups)
        self.assertTrue(all(line.startswith("-rw-r----- 1 trackbridge-maintenance trackbridge-maintenance ") for line in backups), backups)
        self.assertNotEqual(machine.run("ls", "/var/lib/trackbridge-backup", user="otto", check=False).returncode, 0)
        purges = machine.run("sqlite3", "-readonly", DATABASE, "SELECT count(*), max(user) FROM operator_action_log WHERE action = 'purge'",
                             user="rita").stdout
        self.assertEqual(purges.strip(), "3|trackbridge-maintenance")
        self.assertEqual(machine.state(UNITS[2]), "active")

    def test_stopped_it_leaves_what_readers_need(self) -> None:
        machine = self.machine
        machine.run("systemctl", "stop", "trackbridge")
        try:
            self.assertEqual(machine.show("Result"), "success")
            self.assertGreaterEqual(machine.rows("1"), 0)
            self.assertEqual(machine.run("trackbridge", "hold", "--all", user="rita", check=False).returncode, 77)
        finally:
            machine.run("systemctl", "start", "trackbridge")


class Leaving(unittest.TestCase):
    def test_an_upgrade_and_a_removal_keep_the_data(self) -> None:
        with Machine(files) as machine:
            machine.set_up()
            machine.drop("before.csv", ["before-1"])
            machine.wait_accepted(["before-1"])
            pid = machine.show("MainPID")
            machine.install("next.deb")
            machine.wait(lambda: machine.state() == "active", "the service", SLOW)
            self.assertNotEqual(machine.show("MainPID"), pid)
            self.assertEqual(machine.rows("card_id = 'before-1' AND state = 'accepted'"), 1)
            self.assertEqual(machine.run("trackbridge", "verify").returncode, 0)
            machine.drop("after.csv", ["after-1"])
            machine.wait_accepted(["after-1"])

            machine.run("apt-get", "remove", "-y", "trackbridge")
            self.assertNotEqual(machine.state(), "active")
            self.assertEqual(machine.rows("state = 'accepted'"), 2)
            machine.install()
            self.assertEqual((machine.state(), machine.rows("state = 'accepted'")), ("inactive", 2))
            machine.run("systemctl", "start", "trackbridge")
            machine.drop("again.csv", ["again-1"])
            machine.wait_accepted(["again-1"])

            said = machine.run("apt-get", "purge", "-y", "trackbridge").stdout
            self.assertIn("/var/lib/trackbridge is left", said)
            self.assertEqual(machine.rows("state = 'accepted'"), 3)
            machine.sh("test ! -e /etc/trackbridge/trackbridge.yaml; test -e /etc/trackbridge/d1-jwt.key; test -d /var/lib/trackbridge/archive")


def main() -> None:
    global api, files
    try:
        for name in ("dpkg-deb", "mount", "nsenter", "git"):
            peers.program(name)
        tree()
    except peers.Missing as e:
        print(f"skipped: {e}")
        sys.exit(peers.SKIPPED)
    with tempfile.TemporaryDirectory(prefix="tb-files-") as folder:
        files = Path(folder)
        files.chmod(0o755)
        make_packages()
        make_keys()
        with ScriptedApi(files / "pki") as api:
            done = unittest.main(module="__main__", verbosity=2, exit=False)
    sys.exit(0 if done.result.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
