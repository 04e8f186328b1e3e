"""Where the fields of the engine stand in requests, and what a caller is told about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.api.errors import InvalidJob, MatchRefused, NotCompiled, ScorerMissing, Violation
from engine.api.fields import Field
from engine.testing.fake_match import fake_match_report
from server.errors.refusals import FieldViolation, InvalidRequest, SizeNotCompiled, refusal_of
from server.rpc.codec.fields import GENERATE_PATHS, SCORE_MATCH_PATHS
from server.rpc.status import status_of
from stillcue.v1 import generate_pb2, match_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.descriptor import Descriptor


@pytest.mark.parametrize(
    ("paths", "descriptor"),
    [
        (GENERATE_PATHS, generate_pb2.GenerateRequest.DESCRIPTOR),
        (SCORE_MATCH_PATHS, match_pb2.ScoreMatchRequest.DESCRIPTOR),
    ],
)
def test_every_path_exists_in_its_message(paths: Mapping[Field, str], descriptor: Descriptor) -> None:
    for path in paths.values():
        message: Descriptor | None = descriptor
        for part in path.split("."):
            assert message is not None, path
            name = part.removesuffix("[{}]")
            assert name in message.fields_by_name, path
            assert (name != part) <= message.fields_by_name[name].is_repeated, path
            message = message.fields_by_name[name].message_type
        assert message is None or path == "segments", f"{path} is a group of fields"


def test_every_field_has_a_path_in_generate() -> None:
    assert set(GENERATE_PATHS) == set(Field)
    assert len(set(GENERATE_PATHS.values())) == len(Field)


def test_score_match_has_the_fields_of_its_plan() -> None:
    in_score_match = {path.split(".")[-1] for path in SCORE_MATCH_PATHS.values()}
    names = {field.name for field in match_pb2.ScoreMatchRequest.DESCRIPTOR.fields}
    of_clip = {field for field in Field if "{}" not in GENERATE_PATHS[field]}
    assert {field for field in of_clip if GENERATE_PATHS[field].split(".")[-1] in names} <= set(SCORE_MATCH_PATHS)
    assert in_score_match <= names | {"data", "format"}


@pytest.mark.parametrize(("paths", "path"), [(GENERATE_PATHS, "video.frame_count"), (SCORE_MATCH_PATHS, "frame_count")])
def test_violations_get_the_paths_of_their_request(paths: Mapping[Field, str], path: str) -> None:
    violation, of_wire = Violation(Field.FRAME_COUNT, "is 10"), FieldViolation("request_id", "is not a UUID")
    invalid = refusal_of(InvalidJob(violation), paths, (of_wire,))
    assert isinstance(invalid, InvalidRequest)
    assert str(invalid) == f"request_id: is not a UUID; {path}: is 10"
    missing = refusal_of(NotCompiled(violation), paths, ())
    assert isinstance(missing, SizeNotCompiled)
    assert str(missing) == f"{path}: is 10"
    assert isinstance(refusal_of(NotCompiled(violation), paths, (of_wire,)), InvalidRequest)


def test_a_wrong_field_of_a_segment_is_named_with_the_index_of_the_segment() -> None:
    wrong = Violation(Field.SEGMENT_PROMPT, "is empty", segment=2), Violation(Field.SEGMENTS, "are 13")
    assert str(refusal_of(InvalidJob(*wrong), GENERATE_PATHS, ())) == "segments[2].prompt: is empty; segments: are 13"


def test_of_very_many_wrong_fields_the_first_are_told_and_the_others_counted() -> None:
    wrong = [FieldViolation(f"segments[{index}].prompt", "x" * 100) for index in range(20)]
    text = status_of(InvalidRequest(*wrong), "id").details
    assert text == "; ".join(map(str, wrong[:12])) + "; and 8 more"  # 12 times 118 or 119 characters
    longest = FieldViolation("prompt", "x" * 2_000)
    assert status_of(InvalidRequest(longest), "id").details == str(longest)


@pytest.mark.parametrize(
    ("field", "instead"),
    [(Field.MATCH_MODE, "match.mode OFF"), (Field.PICTURE_FIT, "video.picture_fit CROP_CENTER")],
)
def test_a_missing_scorer_names_what_works_without(field: Field, instead: str) -> None:
    details = status_of(ScorerMissing(field), "id").details
    assert details == f"this bundle holds no scorer; export it with --scorer, or send {instead}"


def test_a_refused_match_names_how_to_generate_all_the_same() -> None:
    assert status_of(MatchRefused(fake_match_report("a cat", 64, 64, ()), 50.0), "id").details.endswith(
        "describe what the picture shows, or send match.mode REPORT to generate all the same"
    )
