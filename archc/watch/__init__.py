"""A local page that shows a spec's figure and follows every save."""

from archc.watch.preview import Preview, State
from archc.watch.serve import WatchError, serve

__all__ = ["Preview", "State", "WatchError", "serve"]
