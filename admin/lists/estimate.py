"""How much a migration has to do, and what it costs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from admin.lists.ledgers import DayTallies, Scope
from admin.lists.migration import list_tenants
from admin.lists.pace import Pace

# A transaction takes two write units for each item and KB begun (Developer Guide, "Capacity unit consumption"). For one
# recording: the check of its item 4, two rows 4, three tallies of its room 6, its part of those of the tenant 1. Then a
# unit for its entry in the room's list, and at most two for day tallies.
WRITE_UNITS_PER_RECORDING: Final = 18
# Its item is read three times, a quarter of a unit each, and its rows once.
READ_UNITS_PER_RECORDING: Final = 1
# On demand, us-east-1, November 2026, in dollars. Source: aws.amazon.com/dynamodb/pricing/on-demand
DOLLARS_PER_MILLION_WRITES: Final = 0.625
DOLLARS_PER_MILLION_READS: Final = 0.125


@dataclass(frozen=True)
class Estimate:
    tenants: int
    recordings: int

    @property
    def write_units(self) -> int:
        return self.recordings * WRITE_UNITS_PER_RECORDING

    @property
    def read_units(self) -> int:
        return self.recordings * READ_UNITS_PER_RECORDING + self.tenants

    @property
    def dollars(self) -> float:
        writes, reads = self.write_units * DOLLARS_PER_MILLION_WRITES, self.read_units * DOLLARS_PER_MILLION_READS
        return (writes + reads) / 1_000_000

    def lines(self, rate: float, settle_seconds: float) -> Iterator[str]:
        yield f"Tenants: {self.tenants}. Recordings: {self.recordings}."
        yield (
            f"At most {self.write_units} write units and about {self.read_units} read units: ${self.dollars:.2f} "
            "at the prices of us-east-1 (on demand, November 2026)."
        )
        minutes = (self.recordings / rate + 3 * settle_seconds) / 60
        yield f"At least {minutes:.0f} minutes: {rate:g} recordings a second, and three waits of {settle_seconds:g} s."


def estimate(pace: Pace) -> Estimate:
    """Count the recordings in the day tallies, which are maintained until the migration deletes them.

    Raises:
        Throttled, InfrastructureError
    """
    tenants = list_tenants(pace)
    days = (DayTallies(Scope(tenant_id), pace).all_stored() for tenant_id in tenants)
    return Estimate(len(tenants), sum(counters["total"] for tenant in days for counters in tenant.values()))
