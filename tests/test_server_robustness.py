"""Generated pictures and sentences against a real server; ``python -m benchmarks.robustness`` sends thousands."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import grpc
import pytest
from hypothesis import HealthCheck, given, settings

from benchmarks.robustness import serving_process
from stillcue.v1 import match_pb2, media_pb2
from tests.hostile_inputs import SCORE_MATCH, answer_to, requests
from tests.serving import PROMPT, png

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


@pytest.fixture(scope="module")
def channel() -> Iterator[grpc.Channel]:
    with serving_process("--engine", "fake") as target, grpc.insecure_channel(target) as opened:
        yield opened


def test_whatever_is_sent_is_answered_by_a_report_or_by_the_name_of_a_field(channel: grpc.Channel) -> None:
    answers: Counter[str] = Counter()

    @settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    @given(request=requests)
    def send(request: match_pb2.ScoreMatchRequest) -> None:
        answers[answer_to(request, channel)] += 1

    send()
    # The generated requests must not all be of one kind.
    assert answers["OK"] >= 5
    assert answers["INVALID_ARGUMENT"] >= 5


def test_a_sentence_that_is_not_utf_8_is_refused(channel: grpc.Channel) -> None:
    good = match_pb2.ScoreMatchRequest(image=media_pb2.Image(data=png()), prompt=PROMPT).SerializeToString()
    anything: Any = channel
    call = anything.unary_unary(SCORE_MATCH)
    with pytest.raises(grpc.RpcError) as refused:
        call(good.replace(b"a red", b"a \xff\xfed"), timeout=60)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert answer_to(match_pb2.ScoreMatchRequest.FromString(good), channel) == "OK"  # and others are served


def test_a_sentence_of_100_kilobytes_is_refused_by_its_length(channel: grpc.Channel) -> None:
    request = match_pb2.ScoreMatchRequest(image=media_pb2.Image(data=png()), prompt="猫" * 100_000)
    assert answer_to(request, channel) == "INVALID_ARGUMENT"
