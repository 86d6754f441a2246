"""Time of `retinanet-train --help`, a process of its own each time."""

import os
import subprocess
import sys

from common import NEW, OLD, ROOT, medians, milliseconds, parser, report

TIME = "--help, ms"
COMMAND = "from keras_retinanet.bin.train import main; main(['--help'])"


def measure(options):
    """Return the medians of each package, which take turns."""
    commands = {NEW: [sys.executable, "-c", COMMAND]}
    if options.oracle:
        old = f"import contextlib\nwith contextlib.suppress(ImportError): import legacy\n{COMMAND}"
        commands[OLD] = [options.oracle, "-c", old]
    rounds = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, command in commands.items():
            path = str(ROOT) if name == NEW else ""
            environment = {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}

            def run(command=command, environment=environment):
                # The old package is meant to be found where it is installed, not here.
                subprocess.run(
                    command, env=environment, cwd=os.sep, capture_output=True, check=True
                )

            rounds[name].append({TIME: milliseconds(run)})
    return {name: medians(values) for name, values in rounds.items()}


if __name__ == "__main__":
    options = parser(__doc__).parse_args()
    report(options, measure(options))
