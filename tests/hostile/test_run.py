"""One bad slide of several in a run: the others are finished, and the exit status tells."""

import made_workflow
import pytest


@pytest.mark.slow
def test_bad_slide_does_not_keep_the_others_waiting(tmp_path):
    made_workflow.write(tmp_path)
    assert made_workflow.snakemake(tmp_path, "--until", "make_demo_slide").returncode == 0
    slide = tmp_path / "results" / "demo" / "slides" / "b1.tif"
    slide.write_bytes(slide.read_bytes()[:100])
    targets = [f"results/slides/tiny/{name}/slide.json" for name in ("a1", "b1", "c1")]
    found = made_workflow.snakemake(tmp_path, "--keep-going", "--retries", "1", *targets)
    assert found.returncode != 0
    assert [(tmp_path / one).is_file() for one in targets] == [True, False, True]
    log = (tmp_path / "results" / "logs" / "check_slide" / "tiny" / "b1.log").read_text()
    (line,) = [one for one in log.splitlines() if one.startswith("hooknet: ")]
    assert line.startswith("hooknet: results/demo/slides/b1.tif: OpenSlide cannot open it (")
    assert "Traceback" not in log
    # Once, though it was tried twice; the good slides are not among them.
    end = found.stdout[found.stdout.index("Jobs that failed: ") :]
    assert end.startswith(
        f"Jobs that failed: 1. Their logs end so:\n  results/logs/check_slide/tiny/b1.log\n    {line}\n"
    )
    assert not list(tmp_path.rglob("*partial*"))
