"""Cards, waits and refusals of a fleet, from service times and a rate of arrivals.

``service`` holds the service times, ``formula`` an approximation of the M/G/c queue, ``simulation`` the same queue,
event by event, ``table`` both side by side. ``python -m benchmarks.capacity`` prints the table; ``python -m
benchmarks.capacity.check`` compares both with real servers behind HAProxy, to which ``jobs`` are sent.

The model: jobs arrive at random (Poisson) at one queue, and the card that is free first takes the job that came first,
as HAProxy with ``maxconn 1`` does. Cards are equal, never fail, and make one clip at a time.
"""
