"""Predict the test sections of a run from its model; no counts are read."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from reg2st.base.files import written_whole
from reg2st.sections.panels import read_panel
from reg2st.sections.section_file import load_section_arrays
from reg2st.training.load import SectionFiles, check_positions, load_section
from reg2st.training.train import Recipe, build_model, load_model


def predict_run(
    recipe: Recipe,
    test: list[SectionFiles],
    panel: Path,
    model_path: Path,
    out: Path,
) -> None:
    """Write the predicted expression of the test sections as one AnnData file, on the CPU.

    ``X`` is float32 ``[spots, genes]`` in the units of the target, log10(1 + 1e4 c / sum c);
    obs names the section, patient and array coordinates of each spot, obsm["spatial"] its
    pixels (x, y) of level 0. Where the model gives them, layers["spread"] is the standard
    deviation of the target about its prediction, in the same units, and var["expected_pcc"] the
    PCC to expect of each gene in a section that the model was not trained on.
    """
    import anndata

    genes = read_panel(panel)
    sections = [
        load_section(files, genes, recipe.needs, recipe.standardise, with_targets=False)
        for files in test
    ]
    for section in sections:
        check_positions(section, recipe.settings)
    model = build_model(recipe, genes, sections[0].embedding, "cpu")
    load_model(model, model_path)
    model.eval()
    observations, pixels, predictions = [], [], []
    for files, section in zip(test, sections, strict=True):
        with torch.inference_mode():
            predictions.append(model.predict(section))
        arrays = load_section_arrays(files.section)
        pixels.append(arrays.pixel_xy)
        observations.append(
            pd.DataFrame(
                {
                    "section": section.name,
                    "patient": section.patient,
                    "barcode": arrays.barcodes,
                    "array_col": arrays.array_xy[:, 0],
                    "array_row": arrays.array_xy[:, 1],
                },
                index=[f"{section.name}_{barcode}" for barcode in arrays.barcodes],
            )
        )
    var = pd.DataFrame(index=pd.Index(genes, name="gene"))
    if predictions[0].expected_pcc is not None:
        var["expected_pcc"] = predictions[0].expected_pcc.numpy()
    adata = anndata.AnnData(
        X=_stacked([each.expression for each in predictions]),
        obs=pd.concat(observations),
        var=var,
        obsm={"spatial": np.concatenate(pixels)},
        uns={"run": {key: str(value) for key, value in recipe.key.items()}},
    )
    if predictions[0].spread is not None:
        adata.layers["spread"] = _stacked([each.spread for each in predictions])
    with written_whole(out) as temporary:
        adata.write_h5ad(temporary)


def _stacked(parts: list[torch.Tensor]) -> np.ndarray:
    """Spots of all sections, float32 ``[spots, genes]``."""
    return torch.cat([part.float() for part in parts]).numpy()
