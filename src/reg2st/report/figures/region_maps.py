"""The pathologist's regions on the slide beside clusters of observed and predicted expression."""

import os
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from reg2st.evaluation.regions import (
    clusters_of,
    is_labelled,
    matched,
    region_agreement,
)
from reg2st.report.figures.slide_maps import (
    CHARACTER_IN,
    Frame,
    draw_scale_bar,
    draw_slide,
    draw_spots,
    read_predictions,
    rows_and_columns,
    section_title,
)
from reg2st.report.labels import MethodKey, counted
from reg2st.report.style import (
    DARK,
    FONT_PT,
    LINE_IN,
    PAGE_IN,
    REGION_COLOURS,
    NothingToShow,
    legend_above,
    new_figure,
    styled,
    wrapped,
)
from reg2st.sections.annotations import load_labels
from reg2st.sections.section_file import load_section_arrays

COLUMNS = 5
NO_REGION = "#dddddd"


@styled
def region_maps(
    section_file: str | os.PathLike,
    labels: str | os.PathLike,
    predictions: Mapping[MethodKey, str | os.PathLike],
    *,
    split: str,
    section: str,
) -> Figure:
    """The slide, its regions, and clusters of the observed and of each predicted expression.

    There are as many clusters as regions; each has the colour of one region, so that most spots
    agree. Titles give the adjusted Rand index (ARI) and the normalised mutual information (NMI).
    Spots without a region are grey and not clustered. A method without a prediction of the
    section, or with a constant one, is not drawn.

    Args:
        section_file: the section's file.
        labels: file of its labels.
        predictions: file of predictions by method, variant and preset.
        split: how the section was held out.
        section: its name.

    Raises:
        NothingToShow: the section has no spot with a region.
        UserError: a file lacks the section or a spot of it.
    """
    arrays = load_section_arrays(section_file)
    title = section_title(arrays, split)
    panel, predicted, target = read_predictions(predictions, section, arrays.barcodes)
    of_spots = load_labels(labels, arrays.barcodes)
    labelled = is_labelled(of_spots)
    if not labelled.any():
        raise NothingToShow(f"{title}: no spot has a region.")
    regions = of_spots[labelled]
    names = sorted(set(regions))
    maps = {"Regions": regions}
    if panel:
        measured = load_section_arrays(section_file, panel)
        observed = target.expression(measured.counts, measured.totals)
        predicted = {"Observed": observed, **predicted}
    for name, values in predicted.items():
        clusters = clusters_of(values[labelled], len(names))
        if clusters is None or not clusters.any():
            continue
        agreement = region_agreement(values, of_spots)
        maps[f"{name}\nARI {agreement.ari:.2f}, NMI {agreement.nmi:.2f}"] = matched(
            clusters, regions
        )

    frame = Frame.around(arrays)
    n_panels = len(maps) + 1
    n_rows, n_columns = rows_and_columns(n_panels, COLUMNS)
    panel_in = PAGE_IN / n_columns
    characters = int(panel_in / CHARACTER_IN)
    headers = ["\n".join(wrapped(line, characters) for line in name.split("\n")) for name in maps]
    lines = 1 + max(header.count("\n") for header in headers)
    row_in = frame.height_in(panel_in) + LINE_IN * (lines + 1)
    figure = new_figure(PAGE_IN, 0.85 + row_in * n_rows)
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    draw_slide(panels[0], section_file, frame, "H&E")
    draw_scale_bar(panels[0], frame, arrays.um_per_px)
    colours = dict(zip(names, REGION_COLOURS * len(names), strict=False))
    for axes, header, shown in zip(panels[1:], headers, maps.values(), strict=False):
        faces = np.full(len(labelled), NO_REGION, dtype=object)
        faces[labelled] = [colours[name] for name in shown]
        draw_spots(axes, arrays.pixel_xy, frame, facecolors=faces.tolist())
        axes.set_title(header, fontsize=FONT_PT, loc="center", pad=2)
    for axes in panels[n_panels:]:
        axes.set_visible(False)
    entries = {f"{name}, {counted(int((regions == name).sum()), 'spot')}": name for name in names}
    swatches = [
        Patch(facecolor=colours[name], edgecolor=DARK, linewidth=0.5) for name in entries.values()
    ]
    if not labelled.all():
        entries[f"no region, {counted(int((~labelled).sum()), 'spot')}"] = ""
        swatches.append(Patch(facecolor=NO_REGION, edgecolor=DARK, linewidth=0.5))
    legend_above(figure, title, swatches, list(entries))
    return figure
