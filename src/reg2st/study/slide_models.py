"""The models that predict slides without counts: fitted by the study, in a folder, or on a hub."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reg2st.base.errors import UserError
from reg2st.base.names import closest
from reg2st.base.validation import Mistake, refusal
from reg2st.features.encoders import encoder
from reg2st.models.model_folder import read_description
from reg2st.study.layout import Layout
from reg2st.study.runs import Run
from reg2st.study.slides_config import HubModel, SlidesConfig, hub_model


@dataclass(frozen=True)
class SlideModel:
    """A model by the name that the config gives it.

    Attributes:
        folder: its model folder.
        fit: the study's own training that makes it; None for a model from elsewhere.
        hub: where it is fetched from; None for a model that is not on a hub.
    """

    folder: str
    fit: Run | None = None
    hub: HubModel | None = None


def weights_of(model: SlideModel) -> list[str]:
    """Names of the encoders' weights that a model needs; a fetched model must be there."""
    if model.fit is not None:
        names = [encoder(source.encoder).weights for source in model.fit.features]
    else:
        names = [block.weights for block in read_description(model.folder).blocks]
    return list(dict.fromkeys(filter(None, names)))


def read_slide_models(
    config: SlidesConfig | None, fits: Sequence[Run], layout: Layout, genes: Sequence[str]
) -> dict[str, SlideModel]:
    """The models of a study's slides, by name.

    Args:
        genes: genes to map, which the model of a folder must predict. What a fitted or fetched
            model predicts is known once it is there.

    Raises:
        UserError: a model is neither fitted by the study nor a model folder, or does not predict
            a gene to map; lists all mistakes.
    """
    models: dict[str, SlideModel] = {}
    mistakes: list[Mistake] = []
    for name, place in ({} if config is None else config.models).items():
        try:
            models[name] = _model(place, fits, layout)
            mistakes += _lacking(models[name], name, genes)
        except UserError as error:
            mistakes.append(Mistake(("slides", "models", name), str(error)))
    if mistakes:
        raise refusal("Config", mistakes)
    return models


def _model(place: str, fits: Sequence[Run], layout: Layout) -> SlideModel:
    hub = hub_model(place)
    if hub is not None:
        return SlideModel(layout.hub_model(model=hub.path_name), hub=hub)
    own = {f"{fit.dataset}/{fit.method}": fit for fit in fits}
    if place in own:
        fit = own[place]
        return SlideModel(layout.fitted_model("", fit.dataset, fit.method), fit=fit)
    if not Path(place).is_dir():
        raise UserError(
            f"there is no folder '{place}', and this study fits no such model{closest(place, own)}."
        )
    return SlideModel(place.rstrip("/"))


def _lacking(model: SlideModel, name: str, genes: Sequence[str]) -> Iterator[Mistake]:
    """The genes to map that the model of a folder does not predict."""
    if model.fit is not None or model.hub is not None or not genes:
        return
    predicted = read_description(model.folder).genes
    for gene in genes:
        if gene not in predicted:
            sentence = f"model '{name}' does not predict the gene {gene}{closest(gene, predicted)}."
            yield Mistake(("figures", "genes"), sentence)
