"""SPRIG: Shrunken Programs by RIdge on Graphs."""

from reg2st.models.sprig.model import SPRIG

__all__ = ["SPRIG"]
