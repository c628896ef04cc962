"""`postern service`: start the memory whenever the user signs in, by systemd or launchd."""

from __future__ import annotations

import plistlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from functions.cli.command import Shared, declaration
from functions.cli.invocation import Failed, Invocation
from functions.cli.program import NAME, program
from functions.cli.state_dir import state_dir

SERVICE = declaration("service")

LABEL = "dev.postern.memory"
"""Name of the launchd agent."""

KEPT = ("MEM0_API_KEY", "MEM0_BASE_URL")
"""Variables that a service would need, and that it does not get: their values are secrets or belong to one shell."""


def unit(words: Sequence[str], folder: str) -> str:
    """The unit of a systemd user service."""
    command = " ".join(_quoted(word) for word in words)
    return f"""\
[Unit]
Description=Postern: a memory for the agents of this machine

[Service]
ExecStart={command}
Environment={_quoted(f"POSTERN_STATE_DIR={folder}")}
Restart=on-failure
NoNewPrivileges=yes
UMask=0077

[Install]
WantedBy=default.target
"""


def agent(words: Sequence[str], folder: str) -> bytes:
    """The property list of a launchd agent."""
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": list(words),
            "EnvironmentVariables": {"POSTERN_STATE_DIR": folder},
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "StandardOutPath": "/dev/null",
            "StandardErrorPath": str(Path(folder, "service.log")),
            "Umask": 0o077,
        }
    )


def _quoted(word: str) -> str:
    """A word of a unit: systemd expands % and $ also inside quotes."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def place(environment: Mapping[str, str], platform: str = sys.platform) -> Path:
    """Where the file goes. Raises Failed for a system without systemd and launchd, and for a user without a home."""
    home = environment.get("HOME", "")
    if not home:
        raise Failed("HOME is not set, so there is no place for the service; set it, or start `postern run` yourself")
    if platform == "darwin":
        return Path(home, "Library", "LaunchAgents", f"{LABEL}.plist")
    if platform.startswith("linux"):
        config = environment.get("XDG_CONFIG_HOME", "")
        base = Path(config) if Path(config).is_absolute() else Path(home, ".config")
        return base / "systemd" / "user" / f"{NAME}.service"
    raise Failed(f"services of {platform} are not supported; start `postern run` yourself")


@SERVICE.verb("install", Shared, "write the unit of systemd, or the agent of launchd")
def _install(invocation: Invocation[Shared]) -> None:
    environment, terminal = invocation.environment, invocation.terminal
    path = place(environment)
    found = program(environment)
    whole = found if Path(found).is_absolute() else str(_on_path(environment))
    words, folder = [whole, "run"], str(Path(state_dir(environment)).absolute())
    content = agent(words, folder) if path.suffix == ".plist" else unit(words, folder).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise Failed(f"{path} cannot be written ({error.strerror})") from None
    terminal.result({"file": str(path), "next": next_commands(path)}, f"wrote {path}")
    terminal.note("Start it with:\n" + "\n".join(f"  {line}" for line in next_commands(path)))
    if left := [name for name in KEPT if environment.get(name)]:
        terminal.note(f"{' and '.join(left)} of this shell is not passed on: the service uses the embedded memory.")


def next_commands(path: Path) -> list[str]:
    """What starts the service now and at every sign-in."""
    if path.suffix == ".plist":
        return [f"launchctl bootstrap gui/$(id -u) {shlex.quote(str(path))}"]
    return ["systemctl --user daemon-reload", f"systemctl --user enable --now {path.name}"]


def _on_path(environment: Mapping[str, str]) -> Path:
    import shutil

    found = shutil.which(NAME, path=environment.get("PATH", ""))
    if found is None:
        raise Failed(f"there is no {NAME} on the PATH; install it, e.g. with pipx")
    return Path(found).absolute()


@SERVICE.verb("uninstall", Shared, "remove it again")
def _uninstall(invocation: Invocation[Shared]) -> None:
    path = place(invocation.environment)
    stop = (
        f"launchctl bootout gui/$(id -u)/{LABEL}"
        if path.suffix == ".plist"
        else f"systemctl --user disable --now {path.name}"
    )
    if not path.exists():
        raise Failed(f"there is no {path}; nothing was removed")
    path.unlink()
    invocation.terminal.result({"file": str(path)}, f"removed {path}")
    invocation.terminal.note(f"If it still runs, stop it with: {stop}")
