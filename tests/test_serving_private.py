"""`labkit serve DIR` hands on what the workspace keeps private."""

from pathlib import Path

import pytest

from labkit import cli_workspace, workspace
from labkit.exclusion import said


class Stopped(Exception):
    """Instead of serving for ever."""


def test_serving_a_workspace_hands_on_its_excluded_columns(root, tmp_path, monkeypatch):
    clinic = root / "datasets" / "clinic" / "clinic.sqlite"
    workspace.init(tmp_path / "space", clinic, exclude=["owners.phone"])
    seen = {}

    def ranked(*arguments, **given):
        seen.update(given, excluded=said(clinic))
        raise Stopped

    monkeypatch.setattr(workspace, "made", lambda folder: (clinic, "model", None, Path("pairs.jsonl")))
    monkeypatch.setattr(cli_workspace, "chat_model", lambda *_: object())
    monkeypatch.setattr(cli_workspace, "ranked", ranked)
    with pytest.raises(Stopped):
        cli_workspace.serve(folder=tmp_path / "space", aimed=True)
    words = tmp_path / "space" / "glossary.md"
    assert seen == {"aimed": True, "channel": None, "glossary": words, "excluded": ["owners.phone"]}
