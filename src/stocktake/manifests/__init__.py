"""Upload manifests: our own record of what was uploaded, kept in the bucket beside the objects.

In: completed uploads. Out: write-once segments of a dataset's manifest, and what they say.
Never: a request to find out what a manifest already says, a segment written twice.
"""

from stocktake.manifests._record import UploadRecord

__all__ = ["UploadRecord"]
