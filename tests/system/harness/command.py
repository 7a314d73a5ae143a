"""`lunette`, the command, with its server and state in the environment."""
import os
import subprocess


def lunette(env, daemon, *words, check=True):
    """Runs the command with its server and state in the environment."""
    variables = {**os.environ, "LUNETTE_SERVER": f"http://127.0.0.1:{daemon.http_port}", "LUNETTE_STATE": str(daemon.state)}
    done = subprocess.run([str(env.programs.cli), *map(str, words)], capture_output=True, text=True, env=variables,
                          stdin=subprocess.DEVNULL, timeout=30 * env.slow, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"lunette {' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done
