"""Figures of a state or a trace for plotly, which is imported when one is asked for."""
