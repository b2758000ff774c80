"""What the environment says of the table."""

import os
from typing import Final

TABLE: Final = os.environ["TABLE_NAME"]
