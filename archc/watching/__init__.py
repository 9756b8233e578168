"""A local page that shows a spec's figure and follows every save."""

from archc.watching.preview import Preview, State
from archc.watching.serve import WatchError, serve

__all__ = ["Preview", "State", "WatchError", "serve"]
