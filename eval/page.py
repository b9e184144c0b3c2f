"""The report's page around its body: style, script and data inline, and a policy of what may run.

Nothing is fetched, and nothing runs but the one script that stands here, named by its hash: words
from the logs cannot become code even if one of them slipped through unescaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from string import Template
from typing import Any

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>tierwise report</title>
<style>$style</style>
</head>
<body>
<main>
$body
</main>
$scripts
</body>
</html>
""")


def page(body: str, data: Any = None) -> str:
    """Return the whole file.

    Parameters
    ----------
    body : str
        Ready HTML, without any style attribute: the page's policy would refuse it.
    data : JSON value, optional
        What the script reads; without it the page has no script.
    """
    style = _own("page.css")
    allowed = ["default-src 'none'", f"style-src {_hash(style)}", "base-uri 'none'"]
    scripts = ""
    if data is not None:
        script = _own("page.js")
        allowed.append(f"script-src {_hash(script)}")
        scripts = (
            f'<script type="application/json" id="data">{inline_json(data)}</script>\n'
            f"<script>{script}</script>"
        )
    policy = "; ".join([*allowed, "form-action 'none'"])
    return PAGE.substitute(policy=policy, style=style, body=body, scripts=scripts)


def inline_json(data: Any) -> str:
    """Return JSON that cannot end the element it stands in, whatever its strings hold."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _own(name: str) -> str:
    """Return a file that lies beside this module; line ends as the hash is taken of them."""
    return files("tierwise.eval").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
