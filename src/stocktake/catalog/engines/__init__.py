"""Engines compute over snapshot files; `_protocol.py` says what each must do."""
