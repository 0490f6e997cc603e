"""The start page: all pages of a study, the comparison table, and where the numbers come from."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from reg2st.base.files import written_whole
from reg2st.report.viewer.page_writer import WEB, write_data
from reg2st.report.writers import Table

PROGRAM = ("data.js", "start.js", "viewer.css")


def write_start_page(
    summaries: Sequence[str | os.PathLike],
    folder: str | os.PathLike,
    *,
    study: str,
    provenance: Mapping[str, str],
    table: Table | None = None,
) -> None:
    """Write ``index.html`` and what it needs into the folder that holds the pages.

    Args:
        summaries: files of what to say of each page.
        folder: where ``index.html`` is written.
        study: its name.
        provenance: where the numbers come from, by name.
        table: the comparison of the methods, shown in brief; None in a study that trains nothing.
    """
    folder = Path(folder)
    pages = [json.loads(Path(summary).read_text(encoding="utf-8")) for summary in summaries]
    commits = sorted({commit for page in pages for commit in page["commits"]})
    content = {
        "study": study,
        "pages": pages,
        "table": None
        if table is None
        else {
            "title": table.title,
            "columns": table.brief_columns,
            "rows": table.shown[table.brief_columns].to_numpy().tolist(),
            "notes": list(table.notes),
        },
        "provenance": [
            *(list(row) for row in provenance.items()),
            *(["Commit", commit] for commit in commits),
        ],
    }
    with written_whole(folder / "start") as temporary:
        temporary.mkdir()
        for name in PROGRAM:
            shutil.copyfile(WEB / name, temporary / name)
        (temporary / "data").mkdir()
        write_data(temporary / "data" / "start.js", "start", content)
    with written_whole(folder / "index.html") as temporary:
        shutil.copyfile(WEB / "start.html", temporary)
