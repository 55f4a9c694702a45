#!/usr/bin/env bash
# A job's number -> what Snakemake wants to hear of it: running (or waiting), success or failed.
if queued=$(qstat -j "$1" 2>&1); then
    if grep -q '^error reason' <<<"$queued"; then   # state Eqw: it would wait for an administrator
        echo "job $1 cannot start and is deleted: $(grep -m 1 '^error reason' <<<"$queued")" >&2
        qdel "$1" >&2   # lest it is begun beside the one that is submitted in its place
        echo failed
    else
        echo running
    fi
    exit
fi
# The master does not answer: of the job nothing is known.
grep -q 'do not exist' <<<"$queued" || { echo running; exit; }

missed=.snakemake/sge/$1.missed
# Of a job that was begun several times the last one counts.
case $(qacct -j "$1" 2>/dev/null | awk '$1 == "failed" {f = $2} $1 == "exit_status" {s = $2} END {print f, s}') in
    '0 0') echo success ;;
    ' ')   # Accounts are written a little later; of a job that was deleted before it began there never is one.
        mkdir -p .snakemake/sge
        [ -e "$missed" ] || touch "$missed"
        if [ $(($(date +%s) - $(stat -c %Y "$missed"))) -lt "${HOOKNET_SGE_PATIENCE:-300}" ]; then
            echo running
            exit
        fi
        echo "job $1 is neither in the queue nor in the accounts (qacct -j $1): it counts as failed" >&2
        echo failed ;;
    *) echo failed ;;
esac
rm -f "$missed"
