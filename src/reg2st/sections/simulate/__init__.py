"""Simulated sections in the file layouts of the real data, with a known best predictor.

Only settings and sheet are imported here, since every reading of a config needs them.
"""

from reg2st.sections.simulate.simulated_sheet import SIMULATED_FILES, simulated_sheet
from reg2st.sections.simulate.simulation import SimulationSettings, parse_simulation

__all__ = ["SIMULATED_FILES", "SimulationSettings", "parse_simulation", "simulated_sheet"]
