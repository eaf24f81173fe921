"""Makes the Temporal SDK download its development server into a directory: `sdk_download.py DIRECTORY`.

The SDK only downloads on the way to a start, so the server is started once, in memory, and stopped again.
"""

from __future__ import annotations

import asyncio
import sys

from temporalio.testing import WorkflowEnvironment


async def main(directory: str) -> None:
    """Fetch, start, stop. The program stays behind in `directory`."""
    server = await WorkflowEnvironment.start_local(download_dest_dir=directory)
    await server.shutdown()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1]))
    except RuntimeError as error:  # what the SDK raises for a failed download or start
        sys.exit(str(error))
