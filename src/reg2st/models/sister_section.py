"""The leakage control `sister_section`: expression of the patient's other sections, without images.

In section_out it shows how well serial sections alone predict the test section. In patient_out no
section of the patient is in training, and the control is not available.
"""

import torch
from torch import Tensor

from reg2st.models.interface import Regression, SectionTensors, Settings, Sizes
from reg2st.models.registration import predict_from_sisters


class SisterSection(Regression):
    """Average of training sections of the same patient, registered by shape.

    Predicts NaN if no training section is of the patient.

    Buffers: ``xy [N, 2]`` (in pitches) and ``expression [N, G]`` of all training spots, the index
    of each spot's section, ``of_section [N]``, and each section's patient as padded UTF-8,
    ``patients [S, longest]``.
    """

    def __init__(self, settings: Settings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        self.make_room(
            {
                "xy": (0, 2),
                "expression": (0, sizes.genes),
                "of_section": (0,),
                "patients": (0, 0),
            }
        )

    @classmethod
    def slide_obstacle(cls, settings: Settings) -> str | None:
        return "it copies expression from other sections of the slide's patient"

    def make_room(self, shapes: dict[str, tuple[int, ...]]) -> None:
        kinds = {
            "xy": torch.float64,
            "expression": torch.float32,
            "of_section": torch.int64,
            "patients": torch.uint8,
        }
        for name, kind in kinds.items():
            self.register_buffer(name, torch.zeros(shapes[name], dtype=kind))

    def fit(self, sections: list[SectionTensors]) -> None:
        names = [list(section.patient.encode()) for section in sections]
        longest = max(map(len, names))
        self.xy = torch.cat([section.positions for section in sections])
        self.expression = torch.cat([section.expression for section in sections])
        self.of_section = torch.repeat_interleave(
            torch.tensor([section.n_spots for section in sections])
        ).to(self.xy.device)
        self.patients = torch.tensor(
            [name + [0] * (longest - len(name)) for name in names], dtype=torch.uint8
        )

    def forward(self, section: SectionTensors) -> Tensor:
        patients = [bytes(row).rstrip(b"\0").decode() for row in self.patients.tolist()]
        of_section = self.of_section.cpu()
        sisters = [
            (
                self.xy[of_section == index].cpu().numpy(),
                self.expression[of_section == index].cpu().numpy(),
            )
            for index, patient in enumerate(patients)
            if patient == section.patient
        ]
        if sisters:
            predicted = predict_from_sisters(section.positions.cpu().numpy(), sisters)
            return torch.from_numpy(predicted).float().to(section.array_xy.device)
        return torch.full((section.n_spots, self.sizes.genes), torch.nan)
