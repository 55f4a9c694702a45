# The workflow is workflow/Snakefile; a default target has to stand in this file to be found.
include: "workflow/Snakefile"


rule default:
    default_target: True
    input:
        rules.all.input,
