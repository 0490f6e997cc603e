"""Embed fields of view as one stream: threads read them while the device computes."""

import hashlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole
from reg2st.base.memory import is_out_of_memory
from reg2st.base.progress import Progress
from reg2st.features.encoders.encoder import LoadedEncoder
from reg2st.features.encoders.finished_rows import FinishedRows
from reg2st.features.fields import PATCH_PX, Fields, View, open_fields_at
from reg2st.features.stored_rows import StoredRows
from reg2st.sections.section_file import check_same_spots, load_section_arrays

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

BATCH_SIZE = 128
BATCH_SIZE_ON_CPU = 16
"""Of a network."""

TYPICAL_UM_PER_PX = 0.69
"""Taken for a slide of unknown pixel size: that of the HER2+ sections."""


class Grid(NamedTuple):
    """Tiles around each spot: ``tile_offsets`` says where they lie.

    Attributes:
        side: tiles in a row and in a column.
        share: side of a tile as a share of the field's.
    """

    side: int
    share: float


class Embeddings(NamedTuple):
    """Embeddings of a section, n spots.

    Shapes:
        embeddings: float32 ``[n, d]``.
        barcodes: str ``[n]``.
        coords: int64 ``[n, 2]``, top left corner (x, y) of each field at level 0.
        attributes: encoder, revision, sha256, mean, std, size_px, precision, pooling, field_px,
            groups (widths of the groups of features), and where the slide's pixel size is known
            um_per_px (of what the encoder saw) and field_um (side of the field).
    """

    embeddings: np.ndarray
    barcodes: np.ndarray
    coords: np.ndarray
    attributes: dict[str, Any]


def embed_section(
    slide: str | os.PathLike,
    section: str | os.PathLike,
    view: View,
    loaded: LoadedEncoder,
    out: str | os.PathLike,
    **options: Any,
) -> None:
    """Write the embeddings of the fields of view of a section's spots, in their order.

    Args:
        slide: the section's image.
        section: its section file.
        view: how much of the slide a field shows.
        options: those of ``embed_places``.

    Raises:
        UserError: the section is bad, or as ``embed_places``.
    """
    spots = load_section_arrays(section)
    embed_places(
        slide,
        spots.name,
        spots.barcodes,
        spots.pixel_xy,
        view,
        spots.um_per_px,
        loaded,
        out,
        **options,
    )


def embed_places(
    slide: str | os.PathLike,
    name: str,
    barcodes: np.ndarray,
    centres: np.ndarray,
    view: View,
    slide_um_per_px: float | None,
    loaded: LoadedEncoder,
    out: str | os.PathLike,
    *,
    tiles: Grid | None = None,
    device: "torch.device | str" = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    workers: int = 1,
) -> None:
    """Write the embeddings of the fields of view around n places of a slide, in their order.

    Threads read fields while the device computes. They stay at most ``workers`` + 1 batches ahead,
    so besides the features only these are in memory. When memory runs out, the batch is halved
    and embedding continues with the next field. (accelerate's ``find_executable_batch_size``
    would start the section again.)

    Finished batches are kept in a file beside ``out`` until ``out`` is written. A job that was
    killed goes on from there if the image, the places, the view and the encoder are the same, and
    writes the same bits as a job that was not.

    Args:
        slide: the image.
        name: of the section or slide, for messages.
        barcodes: str ``[n]``, names of the places.
        centres: float64 ``[n, 2]``, (x, y), px of level 0.
        view: how much of the slide a field shows.
        slide_um_per_px: micrometres a pixel of level 0, None where unknown.
        tiles: embed the tiles of this grid around each spot in place of the spot's own field.
        device: "auto" takes a GPU where there is one.
        precision: "float32", "bfloat16", or "auto": the encoder's own on a GPU, float32 on
            the CPU.
        batch_size: fields in the first batches; None takes 128 on a GPU, 16 for a network on the
            CPU, and 128 for other encoders.
        workers: threads that read; those of an encoder without a network also compute.

    Raises:
        UserError: the slide is bad, the view needs an unknown pixel size, even one field does not
            fit into memory, or a feature is not finite.
    """
    import torch

    if str(device) == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(device)
    if precision == "auto":
        precision = loaded.encoder.precision if device.type == "cuda" else "float32"
    network_on_cpu = device.type == "cpu" and not loaded.without_network
    if batch_size is None:
        batch_size = BATCH_SIZE_ON_CPU if network_on_cpu else BATCH_SIZE
    loaded.to(device)

    with (
        open_fields_at(slide, name, barcodes, centres, view, slide_um_per_px) as whole,
        FinishedRows(out) as kept,
    ):
        fields = whole if tiles is None else whole.tiles(*tiles)
        attributes = _attributes(loaded, precision) | {"field_px": fields.field_px}
        um_per_px = fields.um_per_px
        if um_per_px is None:
            um_per_px = fields.field_px / PATCH_PX * TYPICAL_UM_PER_PX
        else:
            attributes |= {"um_per_px": um_per_px, "field_um": um_per_px * PATCH_PX}
        loaded = loaded.for_section(fields, um_per_px)
        stream = _Stream(fields, loaded, device, precision, batch_size)
        embeddings = np.empty((len(fields), loaded.features), dtype=np.float32)
        stream.run(embeddings, kept, _depends_on(slide, stream, attributes), workers)
        embeddings = loaded.complete(embeddings)
        if not np.isfinite(embeddings).all():
            raise UserError(
                f"{loaded.encoder.name} gives features of {name} that are not finite in "
                f"{precision}; check its weights, or embed in float32."
            )
        with written_whole(out) as temporary, h5py.File(temporary, "w") as file:
            names = whole.barcodes.tolist()
            file.create_dataset("barcode", data=names, dtype=h5py.string_dtype())
            file["coords"] = whole.coords
            if tiles is None:
                file["embeddings"] = embeddings
            else:
                grid_shape = len(whole), tiles.side**2
                file["embeddings"] = embeddings.reshape(*grid_shape, -1)
                file["on_slide"] = ~fields.padded.reshape(grid_shape)
            file.attrs.update(attributes)


@dataclass
class _Stream:
    """Fields of view on their way through an encoder.

    Attributes:
        batch_size: fields that are embedded at once; halved when memory runs out.
    """

    fields: Fields
    loaded: LoadedEncoder
    device: "torch.device"
    precision: str
    batch_size: int

    def run(
        self,
        embeddings: np.ndarray,
        kept: FinishedRows,
        depends_on: Mapping[str, Any],
        workers: int,
    ) -> None:
        """Fill ``embeddings [n, d]``; rows that an earlier job kept are not computed again."""
        n, step = len(embeddings), self.batch_size
        done, batch_size = kept.resume(depends_on, embeddings)
        if done:
            self.batch_size = batch_size
            log.info("Continuing with field %d of %d, where the last run stopped.", done + 1, n)
        chunks = [slice(start, min(start + step, n)) for start in range(done, n, step)]
        started, waited = time.monotonic(), 0.0
        name = self.loaded.encoder.name
        with Progress(f"embedding with {name}", n, initial=done, unit=" fields") as bar:
            for chunk, prepared in in_order(self._prepare, chunks, workers, workers + 1):
                before = time.monotonic()
                try:
                    found = prepared.result()
                except (MemoryError, RuntimeError) as error:
                    if not is_out_of_memory(error):
                        raise
                    found = None
                waited += time.monotonic() - before
                if found is None or not self.loaded.without_network:
                    found = self._embed(chunk, found)
                embeddings[chunk] = found
                kept.append(chunk.start, found, self.batch_size)
                bar.update(len(found))
        seconds = time.monotonic() - started
        log.info(
            "%s: %d fields in %.1f s; it waited %.1f %% of that for %d reading threads.",
            name,
            n - done,
            seconds,
            100 * waited / max(seconds, 1e-9),
            workers,
        )

    def _prepare(self, chunk: slice) -> np.ndarray:
        """What a worker does: read the fields, and without a network compute their features."""
        images = self.fields[chunk]
        return self._features(images) if self.loaded.without_network else images

    def _embed(self, chunk: slice, images: np.ndarray | None) -> np.ndarray:
        """Features of some fields, batch by batch; without ``images`` they are read here."""
        rows: list[np.ndarray] = []
        start = chunk.start
        while start < chunk.stop:
            stop = min(start + self.batch_size, chunk.stop)
            try:
                if images is None:
                    some = self.fields[start:stop]
                else:
                    some = images[start - chunk.start : stop - chunk.start]
                rows.append(self._features(some))
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if self.batch_size == 1:
                    raise UserError(
                        f"There is not enough memory to embed one field with "
                        f"{self.loaded.encoder.name} on {self.device}; choose a smaller encoder."
                    ) from error
                self.batch_size //= 2
                log.warning("Memory ran out; continuing with %d fields at a time.", self.batch_size)
                continue
            start = stop
        return np.concatenate(rows)

    def _features(self, images: np.ndarray) -> np.ndarray:
        import torch

        autocast = torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"
        )
        with torch.inference_mode(), autocast:
            features = self.loaded(torch.from_numpy(images).to(self.device))
            return features.float().cpu().numpy()


def in_order(
    task: Callable[[slice], np.ndarray], chunks: Iterable[slice], workers: int, ahead: int
) -> Iterator[tuple[slice, Future]]:
    """Each chunk with the future of its task, in order; at most ``ahead`` are begun early."""
    begun: deque[tuple[slice, Future]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="fields")
    try:
        for chunk in chunks:
            begun.append((chunk, pool.submit(task, chunk)))
            if len(begun) > ahead:
                yield begun.popleft()
        while begun:
            yield begun.popleft()
    finally:
        pool.shutdown(cancel_futures=True)


def _depends_on(
    slide: str | os.PathLike, stream: _Stream, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """All that the features of a slide depend on, as JSON can hold it."""
    import torch

    from reg2st import __version__

    image = os.stat(slide)
    fields = stream.fields
    places = hashlib.sha256("\n".join(fields.barcodes.tolist()).encode())
    places.update(fields.coords.astype("<i8").tobytes())
    return {
        "image": [Path(slide).name, image.st_size, image.st_mtime_ns],
        "places": places.hexdigest(),
        "batch_size": stream.batch_size,
        "device": stream.device.type,
        "threads": torch.get_num_threads(),
        "versions": [__version__, torch.__version__],
        **attributes,
    }


def read_embeddings(path: str | os.PathLike, spots: np.ndarray | None = None) -> Embeddings:
    """Read the embeddings of a section.

    Args:
        spots: barcodes that the embeddings must belong to, in this order.

    Raises:
        UserError: the file is missing, damaged, no embedding file, or belongs to other spots.
    """
    with _opened(path, spots) as file:
        return Embeddings(
            embeddings=file["embeddings"][()],
            barcodes=file["barcode"].asstr()[()].astype(str),
            coords=file["coords"][()],
            attributes=dict(file.attrs),
        )


def read_tiles(path: str | os.PathLike, spots: np.ndarray) -> tuple[StoredRows, np.ndarray]:
    """Read the embeddings of the t tiles around each spot of a section.

    Args:
        spots: barcodes that the tiles must belong to, in this order.

    Returns:
        float32 ``[n, t, d]``, read when they are indexed; and bool ``[n, t]``, whether a tile
        lies wholly on the slide.

    Raises:
        UserError: the file is missing, damaged, no file of tiles, or belongs to other spots.
    """
    with _opened(path, spots) as file:
        return StoredRows(path, "embeddings"), file["on_slide"][()]


@contextmanager
def _opened(path: str | os.PathLike, spots: np.ndarray | None) -> Iterator[h5py.File]:
    """A file of embeddings of these spots."""
    try:
        with h5py.File(path, "r") as file:
            check_same_spots(path, file["barcode"].asstr()[()].astype(str), spots)
            yield file
    except FileNotFoundError as error:
        raise UserError(f"The embedding file {path} does not exist.") from error
    except (OSError, KeyError) as error:
        raise UserError(f"{path} is damaged or no embedding file; make it again.") from error


def _attributes(loaded: LoadedEncoder, precision: str) -> dict[str, Any]:
    about = loaded.encoder
    attributes = {
        "encoder": about.name,
        "revision": loaded.revision,
        "sha256": loaded.sha256,
        "precision": precision,
        "pooling": about.pooling,
        "groups": loaded.groups,
    }
    if about.mean is not None:
        attributes |= {"mean": about.mean, "std": about.std, "size_px": about.size_px}
    return attributes
