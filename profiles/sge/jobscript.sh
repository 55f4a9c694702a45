#!/bin/sh
# Grid Engine begins a job in a login shell, where /etc/profile may set PATH anew: python would be another one.
# properties = {properties}
export PATH="$SGE_O_PATH"
{exec_job}
