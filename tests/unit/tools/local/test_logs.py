"""Reading a log group of the emulator, which gives the first events of a group and no token for the next."""

from typing import Any

from tools.local import stack

AT_ONCE = 10


class Reader:
    """Has one event a millisecond, but three in each tenth."""

    def __init__(self) -> None:
        times = [at for n in range(35) for at in ([n] * 3 if n % 10 == 0 else [n])]
        self.events: list[dict[str, Any]] = [
            {"timestamp": at, "logStreamName": "s", "message": f"line {n}"} for n, at in enumerate(times)
        ]

    def filter_log_events(self, *, logGroupName: str, startTime: int) -> dict[str, Any]:
        return {"events": [one for one in self.events if one["timestamp"] >= startTime][:AT_ONCE]}


def test_a_group_of_more_events_than_one_answer_holds_is_read_to_its_end() -> None:
    reader = Reader()
    assert [message for _, _, message in stack._log_events(reader, "g")] == [one["message"] for one in reader.events]
