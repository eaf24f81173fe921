"""How values become Temporal payloads: as pydantic writes and reads them, by one set of converters a process.

The SDK makes a data converter for every activation of a workflow, and with each of its own pydantic converters an
empty cache of type adapters. Ours share theirs.
"""

from __future__ import annotations

from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import CompositePayloadConverter, DataConverter

_CONVERTERS = tuple(PydanticPayloadConverter().converters.values())


class SharedPayloadConverter(CompositePayloadConverter):
    """`PydanticPayloadConverter`, cheap to make. Its converters keep nothing of what they convert."""

    def __init__(self) -> None:
        super().__init__(*_CONVERTERS)


DATA_CONVERTER = DataConverter(payload_converter_class=SharedPayloadConverter)
"""Of every client and worker of ours."""
