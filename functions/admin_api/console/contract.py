"""Bodies and answers of the two operations that sign a person in to the console."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from functions.admin_api.contract import Body


class SignInLink(BaseModel):
    """A link that signs one person in to the console, once."""

    url: str = Field(description="Open it in a browser. Its fragment is a secret and is never sent as part of a path.")
    expires_at: str


class SignIn(Body):
    """Use a link."""

    code: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="The fragment of the link.")
