"""What trackbridge.service has to have because of the configuration: `check --unit` prints it, as a drop-in that systemd reads as meant."""

from __future__ import annotations

import grp
import os
import re
import subprocess
import unittest
from pathlib import Path
from typing import Any

from harness import Bureau, binary

UNIT = Path(__file__).resolve().parents[2] / "systemd" / "trackbridge.service"


class UnitTest(unittest.TestCase):
    def scene(self, **how: Any) -> Bureau:
        bureau = Bureau(**how)
        self.addCleanup(bureau.close)
        return bureau

    def drop_in(self, bureau: Bureau) -> dict[str, list[str]]:
        """The settings that are printed, by name."""
        done = bureau.cli("check", "--unit")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = [line for line in done.stdout.splitlines() if line and not line.startswith("#")]
        self.assertEqual(lines[0], "[Service]")
        found: dict[str, list[str]] = {}
        for line in lines[1:]:
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
        return found

    def test_the_directories_of_the_configuration_can_be_written(self) -> None:
        bureau = self.scene(top={"state_dir": "/srv/state", "control_socket": "/run/other/control.sock", "metrics_file": "/srv/metrics/tb.prom"},
                            sources=[{"drop": "/srv/one/in", "receipts": "/srv/one/out"},
                                     {"name": "two", "drop": "/srv/two", "receipts": "/srv/metrics/out"}])
        self.assertEqual(self.drop_in(bureau)["ReadWritePaths"],
                         ["/srv/state", "/run/other", "/srv/metrics", "/srv/one/in", "/srv/one/out", "/srv/two"])

    def test_what_the_unit_has_is_not_repeated(self) -> None:
        bureau = self.scene(top={"state_dir": "/var/lib/trackbridge", "control_socket": "/run/trackbridge/control.sock",
                                 "metrics_file": "/var/lib/trackbridge/tb.prom"}, source={"drop": "/srv/in", "receipts": None})
        found = self.drop_in(bureau)
        self.assertEqual(found["ReadWritePaths"], ["/srv/in"])
        self.assertEqual(set(found) - {"ReadWritePaths", "ExecStart", "CapabilityBoundingSet", "AmbientCapabilities"}, set())

    def test_credentials_are_handed_over_from_files_beside_the_configuration(self) -> None:
        bureau = self.scene(endpoint={"jwt": {"key": "credential:d1-jwt-key"},
                                      "tls": {"key": "credential:d1-client-key", "certificate": "credential:client"}})
        (bureau.root / "client.pem").touch()
        self.assertEqual(self.drop_in(bureau)["LoadCredential"],
                         [f"d1-jwt-key:{bureau.root}/d1-jwt.key", f"d1-client-key:{bureau.root}/d1-client.key",
                          f"client:{bureau.root}/client.pem"])

    def test_a_credential_is_there_only_while_the_service_runs(self) -> None:
        done = self.scene(endpoint={"jwt": {"key": "credential:d1-no-key"}}).cli("check")
        self.assertEqual(done.returncode, 78)
        self.assertRegex(done.stdout, r"error .*/d1-no-key: No such file or directory: systemd puts it there for as long as the service runs")

    def test_a_path_reaches_systemd_as_it_is(self) -> None:
        name = '/srv/a b/"50%"\\$x'
        bureau = self.scene(source={"drop": name, "receipts": None})
        self.assertEqual(self.drop_in(bureau)["ReadWritePaths"], [str(bureau.root), '"/srv/a b/\\"50%%\\"\\\\$x"'])

    def test_directories_that_the_unit_hides_are_shown_to_it(self) -> None:
        bureau = self.scene(source={"drop": "/home/lyon/in", "receipts": "/var/tmp/out"})
        found = self.drop_in(bureau)
        self.assertEqual((found["ProtectHome"], found["PrivateTmp"]), (["no"], ["no"]))

    def test_the_service_gets_more_time_than_stop_timeout(self) -> None:
        bureau = self.scene(top={"stop_timeout": "5m"})
        self.assertEqual(self.drop_in(bureau)["TimeoutStopSec"], ["330s"])
        said = re.search(r"^TimeoutStopSec=(\d+)s$", UNIT.read_text(), re.MULTILINE)
        assert said
        self.assertEqual(said[1], "100")
        bureau = self.scene(top={"stop_timeout": "70s"})
        self.assertNotIn("TimeoutStopSec", self.drop_in(bureau))

    def test_leases_are_asked_for_where_files_are_taken_by_standing_still(self) -> None:
        self.assertEqual(self.drop_in(self.scene())["AmbientCapabilities"], ["CAP_LEASE"])
        marker = self.scene(source={"complete": {"when": "marker", "quiet": None, "marker": ".done"}})
        self.assertNotIn("AmbientCapabilities", self.drop_in(marker))

    def test_another_configuration_is_named_to_the_daemon(self) -> None:
        bureau = self.scene()
        self.assertEqual(self.drop_in(bureau)["ExecStart"], ["", f"/usr/sbin/trackbridge -c {bureau.config_path} run"])

    @unittest.skipUnless(os.geteuid() == 0, "only root may give a directory to a group")
    def test_the_groups_of_the_directories_are_the_service_s_too(self) -> None:
        bureau = self.scene()
        group = next(g for g in grp.getgrall() if g.gr_gid and g.gr_name != "trackbridge" and not g.gr_mem)
        os.chown(bureau.in_directory, -1, group.gr_gid)
        bureau.in_directory.chmod(0o2770)
        self.assertEqual(self.drop_in(bureau)["SupplementaryGroups"], [group.gr_name])
        bureau.in_directory.chmod(0o2750)  # joining would not help
        self.assertNotIn("SupplementaryGroups", self.drop_in(bureau))

    def test_a_wrong_configuration_gives_no_drop_in(self) -> None:
        bureau = self.scene()
        bureau.config_path.write_text("version: 0\n")
        done = bureau.cli("check", "--unit")
        self.assertEqual((done.returncode, done.stdout), (78, ""))
        self.assertIn("not configured yet", done.stderr)

    def test_unit_and_online_do_not_go_together(self) -> None:
        self.assertEqual(self.scene().cli("check", "--unit", "--online").returncode, 64)

    def test_an_unconfigured_file_starts_nothing(self) -> None:
        bureau = self.scene()
        bureau.config_path.write_text("version: 0\n")
        done = subprocess.run([binary(), "-c", str(bureau.config_path), "run"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 78)
        self.assertIn("this file is not configured yet", done.stderr)


if __name__ == "__main__":
    unittest.main()
