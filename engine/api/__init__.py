"""The contract of the engine: jobs, events, reports, errors. Plain data; imports no other part of the engine."""
