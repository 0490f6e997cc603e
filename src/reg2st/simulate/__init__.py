"""Simulated sections in the file layouts of the real data, with a known best predictor.

Only settings and sheet are imported here: every reading of a config needs them.
"""

from reg2st.simulate.settings import SimulationSettings, parse_simulation
from reg2st.simulate.sheet import simulated_sheet

__all__ = ["SimulationSettings", "parse_simulation", "simulated_sheet"]
