"""What a CTRF document must look like: the fields that ours have, by the published specification.

Field names, types and required fields are those of version 0.0 of https://ctrf.io. Stricter than
that: fields that we do not mean to write are errors.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NAME: Schema = {"type": "string", "minLength": 1}
COUNT: Schema = {"type": "integer", "minimum": 0}
YES: Schema = {"type": "boolean"}
ANYTHING: Schema = {"type": "object"}
STATUS: Schema = {"enum": ["passed", "failed", "skipped", "pending", "other"]}


def record(required: str, optional: str = "", **fields: Schema) -> Schema:
    """Return a schema of an object with these fields and no others.

    Args:
        required, optional: names of the fields, between blanks.
        fields: what they hold.
    """
    names = required.split()
    assert {*names, *optional.split()} == set(fields)
    return {
        "type": "object",
        "required": names,
        "properties": fields,
        "additionalProperties": False,
    }


def array(items: Schema) -> Schema:
    """Return a schema of an array."""
    return {"type": "array", "items": items}


ATTACHMENTS = array(record("name contentType path", name=TEXT, contentType=TEXT, path=TEXT))
TIMES = {"start": COUNT, "stop": COUNT, "duration": COUNT}
TOLD: Schema = {**TIMES, "message": TEXT, "trace": TEXT, "attachments": ATTACHMENTS}
STEPS = array(record("name status", name=TEXT, status=STATUS))
RETRIES = array(
    record(
        "attempt status",
        f"{' '.join(TOLD)} extra",
        attempt={"type": "integer", "minimum": 1},
        status=STATUS,
        extra=ANYTHING,
        **TOLD,
    )
)
OF_A_TEST: Schema = {
    "id": {"type": "string", "format": "uuid"},
    "rawStatus": TEXT,
    "suite": array(TEXT),
    "filePath": TEXT,
    "line": {"type": "integer"},
    "tags": array(TEXT),
    "type": TEXT,
    "flaky": YES,
    "retries": COUNT,
    "retryAttempts": RETRIES,
    "steps": STEPS,
    "extra": ANYTHING,
    **{name: schema for name, schema in TOLD.items() if name != "duration"},
}
TESTS = array(
    record(
        "name status duration",
        " ".join(OF_A_TEST),
        name=NAME,
        status=STATUS,
        duration=COUNT,
        **OF_A_TEST,
    )
)
COUNTED = ("tests", "passed", "failed", "skipped", "pending", "other", "start", "stop")
SUMMARY = record(
    " ".join(COUNTED),
    "flaky suites duration extra",
    **dict.fromkeys((*COUNTED, "flaky", "suites", "duration"), COUNT),
    extra=ANYTHING,
)
ENVIRONMENT = record(
    "",
    "appName commit osPlatform extra",
    appName=TEXT,
    commit=TEXT,
    osPlatform=TEXT,
    extra=ANYTHING,
)
RESULTS = record(
    "tool summary tests",
    "environment",
    tool=record("name", "version", name=NAME, version=TEXT),
    summary=SUMMARY,
    tests=TESTS,
    environment=ENVIRONMENT,
)
CTRF = record(
    "reportFormat specVersion results",
    "reportId timestamp generatedBy",
    reportFormat={"const": "CTRF"},
    specVersion={"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
    reportId={"type": "string", "format": "uuid"},
    timestamp={"type": "string", "format": "date-time"},
    generatedBy=TEXT,
    results=RESULTS,
)
