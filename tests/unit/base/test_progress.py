"""Progress in a log file."""

from reg2st.base.progress import Progress


def test_progress_in_a_log_is_lines_of_ascii(capsys):
    with Progress("patches of S1", 10, unit=" patches") as bar:
        bar.update(10)
    lines = capsys.readouterr().err
    assert "patches of S1" in lines
    assert "10/10" in lines
    assert lines.isascii()
