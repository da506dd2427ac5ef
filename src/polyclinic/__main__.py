"""`python -m polyclinic`: the `polyclinic` command."""

from polyclinic.cli.main import run

run()
