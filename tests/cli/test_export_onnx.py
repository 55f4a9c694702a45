import re
import subprocess
import sys
from pathlib import Path

from made_cohort import RUN, refuse

BEST = RUN / "best.ckpt"


def test_a_trained_network_is_written_and_compared(cohort):
    # In a process of its own: what libraries log and warn of would show.
    command = [sys.executable, "-m", "hooknet", "export-onnx", str(BEST), "--out", "m.onnx"]
    outcome = subprocess.run(command, capture_output=True, text=True, check=True)
    told = re.fullmatch(r"m\.onnx: probabilities differ from torch by (\S+) at most\n", outcome.stdout)
    assert float(told[1]) < 1e-5
    assert outcome.stderr.count("\n") == 1
    assert "INFO m.onnx: largest difference from torch" in outcome.stderr
    assert Path("m.onnx").stat().st_size > 1000


def test_an_illegal_size_and_a_missing_checkpoint_are_one_line(cohort):
    message = refuse("export-onnx", BEST, "--out", "m.onnx", "--size", "43")
    assert message.startswith("a 43 px patch ")
    assert message.endswith("; use 42 px")
    BEST.unlink()
    message = refuse("export-onnx", BEST, "--out", "m.onnx")
    assert message == f"{BEST}: no such file; train the model first or give another checkpoint"
