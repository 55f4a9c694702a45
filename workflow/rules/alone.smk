"""One run at a time in a folder: a lock that the system lets go of however a run ends, so that none has to be unlocked.

Snakemake's own stays after a crash, and the default profile has switched it off.
"""

from contextlib import ExitStack

from hooknet.io.locks import exclusive

#: Held as long as this process lives.
ALONE = ExitStack()


onstart:
    # Jobs that are started as snakemake of their own belong to the run that holds it.
    if workflow.is_main_process:
        try:
            ALONE.enter_context(exclusive(".snakemake/run.lock"))
        except HookNetError as error:
            stop(error)
