"""Remember what Cloudflare last said of a recording's file, so that the next answer can confirm it or take it back."""

from recordings.domain.reconciliation import News, Verdict
from recordings.domain.recording import Recording
from recordings.ports.repositories import Recordings


def note_news(recordings: Recordings, ours: Recording, news: News | Verdict) -> None:
    """Store since when there is no news of a file, if that has changed."""
    if ours.missing_since != news.missing_since:
        recordings.note_missing(ours, news.missing_since)
