"""Simulated sections in the file layouts of the real data, with a known best predictor.

Only settings and sheet are imported here: every reading of a config needs them.
"""

from reg2st.sections.simulate.simulated_sheet import simulated_sheet
from reg2st.sections.simulate.simulation import SimulationSettings, parse_simulation

__all__ = ["SimulationSettings", "parse_simulation", "simulated_sheet"]
