"""Trainings on several machines (`train.nodes`): what SLURM is asked for, and what starts the command there.

Only its executor knows these words.  A job of `mpi` is not started by srun itself: its command is, once for each
process.  GPUs are asked for by the machine (`gres`): of `gpu`, a number for all, some could have more than others.
"""


def of_several(told):
    """A resource of trainings on several machines, which others do not have."""

    def asked(wildcards):
        return (
            told(needs(wildcards.run)) if needs(wildcards.run).train_nodes > 1 else None
        )

    return asked


def nodes(asked):
    return asked.train_nodes


def tasks(asked):
    """In all, where each machine has one: `tasks_per_node` has to be more."""
    return asked.train_nodes if asked.train_devices == 1 else None


def tasks_per_node(asked):
    return asked.train_devices if asked.train_devices > 1 else None


def tasks_per_gpu(asked):
    """None is said: the executor would take `tasks`."""
    return 0


def cpus_per_task(asked):
    return asked.train_cores


def gres(asked):
    return f"gpu:{asked.train_devices}"


def mpi(asked):
    return "srun"


def launch(wildcards):
    """Before the command, in a job of SLURM; elsewhere nothing, and the command says what it lacks.

    No parameter: on how many machines it was trained is no reason to train again.
    """
    asked = needs(wildcards.run)
    if asked.train_nodes == 1:
        return ""
    processes = f"--nodes={asked.train_nodes} --ntasks-per-node={asked.train_devices}"
    return (
        f"${{SLURM_JOB_ID:+srun {processes} --cpus-per-task={asked.train_cores}"
        " --kill-on-bad-exit=1} "
    )


MACHINES = {
    "launch": launch,
    **{
        told.__name__: of_several(told)
        for told in (
            nodes,
            tasks,
            tasks_per_node,
            tasks_per_gpu,
            cpus_per_task,
            gres,
            mpi,
        )
    },
}
