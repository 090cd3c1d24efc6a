"""stocktake knows what is in your object storage, proves it, and moves data in and out safely.

Each package below is a room with one purpose; `docs/explanation/architecture.md` draws the floors.
"""

__version__ = "0.1.0"
