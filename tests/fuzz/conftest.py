from fuzzing import TALLIES


def pytest_terminal_summary(terminalreporter):
    for name, tally in TALLIES.items():
        terminalreporter.write_line(f"fuzz {name}: {tally}")
