"""The README's commands of training exist, with their options: tests/test_readme.py, in the other environment."""

from __future__ import annotations

import pytest

from tests.test_readme import COMMANDS, options_not_in_help

TRAINING = [command for command in COMMANDS if command.startswith(".venv-training/")]


def test_there_are_commands_of_training() -> None:
    assert len(TRAINING) >= 4


@pytest.mark.parametrize("command", TRAINING)
def test_every_option_of_a_command_is_in_its_help(command: str) -> None:
    assert options_not_in_help(command) == []
