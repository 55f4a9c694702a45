"""What failed, once more at the end of a run: among thousands of jobs the lines stand far apart."""

import re
import sys
from pathlib import Path

#: Failed jobs that are told of; with a wrong key there may be one for each slide.
TOLD = 20


def failed_logs(text):
    """From what snakemake said in a run: the log of each job that failed, and did not succeed in a later attempt."""
    failed, job = {}, None
    for line in text.splitlines():
        if found := re.match(r" +jobid: (\d+)", line):
            job = found[1]
        elif found := re.match(r" +log: (.+) \(check log file", line):
            failed[job] = found[1]
        elif found := re.match(r"Finished jobid: (\d+)", line):
            failed.pop(found[1], None)
    return list(failed.values())


def last_line(path):
    try:
        lines = Path(path).read_text(errors="replace").split("\n")
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return next((line for line in reversed(lines) if line.strip()), "says nothing")


onerror:
    if workflow.is_main_process:
        failed = failed_logs(
            "".join(
                Path(one).read_text(errors="replace")
                for one in ([log] if isinstance(log, str) else log)
            )
        )
        if failed:
            print(
                f"\nJobs that failed: {len(failed)}. Their logs end so:",
                file=sys.stderr,
            )
            for path in failed[:TOLD]:
                print(f"  {path}\n    {last_line(path)}", file=sys.stderr)
            if failed[TOLD:]:
                print(f"  and {len(failed) - TOLD} more", file=sys.stderr)
