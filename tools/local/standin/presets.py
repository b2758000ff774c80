"""The presets of a new app: what a participant may do in a meeting (realtimekit/concepts/preset)."""

import uuid
from datetime import datetime
from typing import Any

from tools.local.standin.state import instant

BACKGROUND = {"1000": "#080808", "900": "#1A1A1A", "800": "#1E1E1E", "700": "#2C2C2C", "600": "#3C3C3C"}
BRAND = {"300": "#497CFD", "400": "#356EFD", "500": "#2160FD", "600": "#0D51FD", "700": "#0246FD"}


def preset(name: str, at: datetime, *, host: bool = False, view: str = "GROUP_CALL") -> dict[str, Any]:
    """Return a complete preset."""
    allowed = {"can_produce": "ALLOWED"}
    return {
        "id": str(uuid.uuid4()),
        "name": name,
        "created_at": instant(at),
        "updated_at": instant(at),
        "config": {
            "view_type": view,
            "max_video_streams": {"desktop": 25, "mobile": 4},
            "max_screenshare_count": 1,
            "media": {
                "video": {"quality": "vga", "frame_rate": 30},
                "screenshare": {"quality": "hd", "frame_rate": 5},
                "audio": {"enable_stereo": False, "enable_high_bitrate": False},
            },
        },
        "permissions": {
            "accept_waiting_requests": host,
            "can_accept_production_requests": host,
            "can_change_participant_permissions": host,
            "can_edit_display_name": True,
            "can_livestream": host,
            "can_record": host,
            "can_spotlight": host,
            "chat": {
                "private": {"can_receive": True, "can_send": True, "files": True, "text": True},
                "public": {"can_send": True, "files": True, "text": True},
            },
            "connected_meetings": {
                "can_alter_connected_meetings": host,
                "can_switch_connected_meetings": host,
                "can_switch_to_parent_meeting": host,
            },
            "disable_participant_audio": host,
            "disable_participant_screensharing": host,
            "disable_participant_video": host,
            "hidden_participant": False,
            "kick_participant": host,
            "media": {"audio": allowed, "screenshare": allowed, "video": allowed},
            "pin_participant": host,
            "plugins": {"can_close": host, "can_edit_config": host, "can_start": host, "config": {}},
            "polls": {"can_create": host, "can_view": True, "can_vote": True},
            "recorder_type": "NONE",
            "show_participant_list": True,
            "waiting_room_type": "SKIP",
        },
        "ui": {
            "design_tokens": {
                "border_radius": "rounded",
                "border_width": "thin",
                "spacing_base": 4,
                "theme": "dark",
                "colors": {
                    "background": BACKGROUND,
                    "brand": BRAND,
                    "danger": "#FF2D2D",
                    "success": "#62A504",
                    "text": "#EEEEEE",
                    "text_on_brand": "#EEEEEE",
                    "video_bg": "#191919",
                    "warning": "#FFCD07",
                },
            }
        },
    }


def default_presets(at: datetime) -> dict[str, dict[str, Any]]:
    """Return the presets of the guide's examples by id."""
    made = [
        preset("group_call_host", at, host=True),
        preset("group_call_participant", at),
        preset("webinar_presenter", at, host=True, view="WEBINAR"),
        preset("webinar_viewer", at, view="WEBINAR"),
    ]
    return {one["id"]: one for one in made}
