"""Benchmarks: what the documentation's figures come from.

Every figure is a ratio within one run: the tools that are compared run one after the other on the
same data, each in a process of its own. `python -m bench --help` says what there is.
"""
