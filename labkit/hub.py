"""Model hubs: asked last, briefly, and only about what is not on this machine.

The hub's own client downloads, keeps and resumes; this module makes sure that nobody waits for a hub in vain, and
that a refusal is a sentence.
"""

import errno
from pathlib import Path

from labkit.errors import LabkitError
from labkit.notices import notice

_FILES = ["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt"]


def cached(hub_id: str) -> Path | None:
    """The folder of a hub's model in the hub's cache; looks at no network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(hub_id, local_files_only=True, allow_patterns=_FILES))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError):
        return None
    return folder if (folder / "config.json").exists() and any(folder.glob("*.safetensors")) else None


def fetch_from_hub(hub_id: str) -> Path:
    """The folder of a hub's model, from the cache or else over the network; LabkitError tells why it cannot be had."""
    if folder := cached(hub_id):
        return folder
    import huggingface_hub
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise LabkitError(f"{hub_id} is not on this machine, and HF_HUB_OFFLINE forbids to ask the hub for it.")
    _ask_hub(hub_id, constants.ENDPOINT, huggingface_hub.get_token())
    notice(f"Fetching {hub_id} from {constants.ENDPOINT} ...")
    try:
        return Path(huggingface_hub.snapshot_download(hub_id, allow_patterns=_FILES))
    except Exception as error:  # whatever ends a download, what has arrived is kept by the hub's client
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        raise LabkitError(f"Fetching {hub_id} broke off: {error}. The same command goes on from there.") from error


def _ask_hub(hub_id: str, endpoint: str, token: str | None) -> None:
    """Ask once, briefly: an unreachable hub is told in seconds, not after the client's minutes of retries."""
    import httpx

    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        url = f"{endpoint}/{hub_id}/resolve/main/config.json"
        status = httpx.head(url, headers=headers, timeout=5, follow_redirects=True).status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise LabkitError(
            f"{hub_id} is not on this machine, and the hub {endpoint} cannot be reached ({error}). "
            "The default model needs no hub."
        ) from error
    if status == 404:
        raise LabkitError(f"The hub {endpoint} has no model {hub_id}. Check the spelling.")
    if status in (401, 403):
        raise LabkitError(
            f"The hub does not let you have {hub_id}: it doesn't exist, or asks you to accept its licence at "
            f"{endpoint}/{hub_id} and to log in with `hf auth login`."
        )
    if status >= 400:
        raise LabkitError(f"The hub {endpoint} answered {status} for {hub_id}. Try again later.")
