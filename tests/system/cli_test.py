"""The command `lunette`, as an administrator uses it."""
import json

from harness.command import lunette
from harness.daemon import TARGET
from harness.initiator import iscsi_ls
from harness.registry import test


@test(quick=True)
def help_teaches_and_version_is_told(env):
    shown = env.run(env.programs.cli, "--help").stdout
    assert "lun" in shown and "target" in shown and "status" in shown, shown
    assert (env.programs.root / "VERSION").read_text().strip() in env.run(env.programs.cli, "--version").stdout


@test(quick=True)
def status_says_in_one_screen_what_is_served(env):
    daemon = env.daemon()
    daemon.serve("vol", 8 << 20)
    shown = lunette(env, daemon, "status").stdout
    assert len(shown.splitlines()) <= 40 and TARGET in shown, shown


@test(quick=True)
def the_first_disk_takes_three_commands(env):
    daemon = env.daemon()
    lunette(env, daemon, "lun", "create", "vol1", "1G")
    lunette(env, daemon, "target", "create", TARGET)
    lunette(env, daemon, "target", "map", TARGET, "vol1")
    assert "Lun:0" in iscsi_ls(env, f"iscsi://{daemon.portal()}", "-s")
    lun = json.loads(lunette(env, daemon, "lun", "show", "vol1", "--output", "json").stdout)
    assert lun["size_bytes"] == 1 << 30, lun
    table = lunette(env, daemon, "lun", "list").stdout
    assert "vol1" in table and len(table.splitlines()) == 2, table
    lunette(env, daemon, "lun", "create", "vol1", "1G")


@test(quick=True)
def a_path_gets_its_access_state(env):
    daemon = env.daemon()
    lunette(env, daemon, "target", "create", TARGET, "--explicit-alua")
    lunette(env, daemon, "target", "path", TARGET, 1, "standby", "--dry-run")
    assert "port_groups" not in lunette(env, daemon, "target", "show", TARGET, "--output=json").stdout.replace('"port_groups": {}', "")
    assert "standby" in lunette(env, daemon, "target", "path", TARGET, 1, "standby", "--preferred").stdout
    lunette(env, daemon, "target", "path", TARGET, 1, "active_nonoptimized")
    shown = json.loads(lunette(env, daemon, "target", "show", TARGET, "--output=json").stdout)
    group = shown["port_groups"]["1"]
    assert group["state"] == "active_nonoptimized" and group["preferred"] and shown["explicit_alua"], shown
    assert lunette(env, daemon, "target", "path", TARGET, 1, "offline", check=False).returncode != 0


@test(quick=True)
def a_lun_is_grown_and_deleted(env):
    daemon = env.daemon()
    daemon.serve("vol1", 8 << 20)
    lunette(env, daemon, "lun", "grow", "vol1", "16M")
    assert lunette(env, daemon, "lun", "grow", "vol1", "8M", check=False).returncode == 1
    assert lunette(env, daemon, "lun", "delete", "vol1", check=False).returncode == 6
    lunette(env, daemon, "target", "unmap", TARGET, 0)
    lunette(env, daemon, "lun", "delete", "vol1")
    assert lunette(env, daemon, "lun", "show", "vol1", check=False).returncode == 5


@test(quick=True)
def every_list_has_a_table_and_json(env):
    daemon = env.daemon()
    daemon.serve("vol1", 8 << 20)
    for words in (("lun", "list"), ("target", "list"), ("target", "luns", TARGET), ("group", "list"), ("portal", "list"),
                  ("store", "list"), ("session", "list"), ("token", "list"), ("operation", "list"), ("audit",),
                  ("settings", "show"), ("health",), ("version",), ("capabilities",), ("config", "export"), ("top",)):
        assert lunette(env, daemon, *words).stdout, words
        json.loads(lunette(env, daemon, *words, "--output", "json").stdout)


@test(quick=True)
def the_completion_is_a_script_that_bash_takes(env):
    daemon = env.daemon()
    script = lunette(env, daemon, "completion", "bash").stdout
    env.run("bash", "-n", stdin=None, input=script)
    daemon.serve("vol1", 8 << 20)
    assert "vol1" in lunette(env, daemon, "names", "LUN").stdout


@test(quick=True)
def a_wrong_command_and_a_dead_server_have_exit_codes_of_their_own(env):
    daemon = env.daemon()
    wrong = lunette(env, daemon, "no-such-command", check=False)
    daemon.terminate()
    dead = lunette(env, daemon, "status", check=False)
    assert (wrong.returncode, dead.returncode) == (2, 3), (wrong, dead)
    assert wrong.stderr and dead.stderr
