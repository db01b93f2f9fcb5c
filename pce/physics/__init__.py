"""Quality of transmission of a comb of channels on one path, element by element, as GNPy 3.0.1 models it.

`elements` are the records, `comb` the channels, `path` the calculation over `pce.core`; `reference`, `element_json`
and `network` read files. Models, formulas and sources: at the kernels.
"""
