"""Wire <-> domain: the only package that imports both protobuf messages and the data of ``engine.api``."""

from __future__ import annotations

from server.rpc.codec.fields import GENERATE_PATHS, SCORE_MATCH_PATHS
from server.rpc.codec.outgoing import Outgoing
from server.rpc.codec.reports import encode_match_report
from server.rpc.codec.requests import (
    GenerateCall,
    ScoreCall,
    decode_generate,
    decode_score_match,
    request_digest,
)
from server.rpc.codec.responses import (
    accepted_response,
    capabilities_response,
    encode_duration,
    event_response,
    must_compress,
    pixel_bytes,
    queue_update_response,
    score_match_response,
    summary_response,
)

__all__ = [
    "GENERATE_PATHS",
    "SCORE_MATCH_PATHS",
    "GenerateCall",
    "Outgoing",
    "ScoreCall",
    "accepted_response",
    "capabilities_response",
    "decode_generate",
    "decode_score_match",
    "encode_duration",
    "encode_match_report",
    "event_response",
    "must_compress",
    "pixel_bytes",
    "queue_update_response",
    "request_digest",
    "score_match_response",
    "summary_response",
]
