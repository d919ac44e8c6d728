"""The world as a person watches it while it is served: a live screen on a terminal, plain lines elsewhere."""

from trueup.sim.view.happenings import Happening, Happenings
from trueup.sim.view.live import tell, watch
from trueup.sim.view.screen import screen
from trueup.sim.view.snapshot import Snapshot, take

__all__ = ["Happening", "Happenings", "Snapshot", "screen", "take", "tell", "watch"]
