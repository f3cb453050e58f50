"""What the operator's own routes of the web app need to know: `/readyz`, `/metrics`, the doctor."""

from bot.web.health import Operations
from storage.settings import Settings


def operations_of(settings: Settings) -> Operations:
    url, token = settings.redis_url, settings.metrics_token
    folders = {"data": settings.data_dir, "loras": settings.lora_dir}
    return Operations(
        redis_url=url.get_secret_value() if url else "",
        metrics_token=token.get_secret_value() if token else "",
        folders={name: folder for name, folder in folders.items() if folder is not None},
        admins=settings.admin_ids,
        checkup=lambda: checkup(settings),
    )


async def checkup(settings: Settings) -> list[tuple[str, str, str, str]]:
    """What `lorabot doctor` says, for admins in a chat and at the local page."""
    from lorabot import doctor

    found = await doctor.examine(settings)
    return [(one.health.value, one.what, one.said, one.fix) for one in found]
