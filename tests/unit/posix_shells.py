"""The shells that a host can have as /bin/sh, each reading a script from its stdin."""

from __future__ import annotations

from left_out import OLD_BASH, OLD_BASH_ARGV

SHELLS: dict[str, tuple[str, ...]] = {
    "dash": ("dash", "-s"),
    "bash": ("bash", "--posix", "-s"),
    "busybox": ("busybox", "ash", "-s"),
    "mksh": ("mksh", "-s"),
    "zsh": ("zsh", "--emulate", "sh", "-s"),
    OLD_BASH: (*OLD_BASH_ARGV, "-s"),
}
