"""What holds for every test: a property has no deadline, because a busy machine is not a defect."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("postern", deadline=None)
hypothesis.settings.load_profile("postern")
