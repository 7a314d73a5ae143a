"""The command `lunette`, as an administrator uses it."""
import json
import os
import subprocess

from harness.daemon import TARGET
from harness.initiator import iscsi_ls
from harness.registry import test


def lunette(env, daemon, *words, check=True):
    """Runs the command with its server and state in the environment."""
    variables = {**os.environ, "LUNETTE_SERVER": f"http://127.0.0.1:{daemon.http_port}", "LUNETTE_STATE": str(daemon.state)}
    done = subprocess.run([str(env.programs.cli), *map(str, words)], capture_output=True, text=True, env=variables,
                          stdin=subprocess.DEVNULL, timeout=30 * env.slow, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"lunette {' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


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
def a_wrong_command_and_a_dead_server_have_exit_codes_of_their_own(env):
    daemon = env.daemon()
    wrong = lunette(env, daemon, "no-such-command", check=False)
    daemon.terminate()
    dead = lunette(env, daemon, "status", check=False)
    assert wrong.returncode != 0 and dead.returncode != 0 and wrong.returncode != dead.returncode, (wrong, dead)
    assert wrong.stderr and dead.stderr
