"""Setting inventories up: what is missing, the exact fix, and what each way costs.

In: a bucket and what AWS says about it. Out: checks with fixes, configurations, merged policies,
costs from a dated price file.
Never: a policy statement of somebody else touched, a setting guessed, a price without its date.
"""

__all__ = ()
