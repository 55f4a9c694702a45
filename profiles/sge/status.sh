#!/usr/bin/env bash
# A job's number -> what Snakemake wants to hear of it.  A job that is not in the queue any more is in the accounting, a
# little later; while it is in neither it counts as running.
if qstat -j "$1" >/dev/null 2>&1; then
    echo running
    exit
fi
account=$(qacct -j "$1" 2>/dev/null) || { echo running; exit; }
if grep -qE '^failed +0' <<<"$account" && grep -qE '^exit_status +0' <<<"$account"; then
    echo success
else
    echo failed
fi
