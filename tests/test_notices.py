"""Sentences beside the result: standard error in a terminal, ordinary output in a notebook."""

import nbformat
from nbclient import NotebookClient

from labkit.notices import notice


def test_a_terminal_gets_it_on_standard_error(capsys):
    notice("The work is kept.")
    assert capsys.readouterr() == ("", "The work is kept.\n")


def test_a_notebook_gets_it_on_ordinary_ground():
    cell = nbformat.v4.new_code_cell("from labkit.notices import notice\nnotice('The work is kept.')")
    ran = NotebookClient(nbformat.v4.new_notebook(cells=[cell])).execute()
    (output,) = ran.cells[0].outputs
    assert (output.name, output.text) == ("stdout", "The work is kept.\n")
