"""nginx as HTTPS front: TLS, HTTP/2 and the client certificate for a program that has none of them, and a ledger of what passed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peers

CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 1024; }}

http {{
    log_format ledger escape=json
        '{{"path":"$uri","status":$status,"protocol":"$server_protocol","client":"$ssl_client_verify",'
        '"correlation":"$http_x_correlation_id","body":"$request_body"}}';
    access_log ledger ledger;
    client_body_temp_path tmp-body; proxy_temp_path tmp-proxy;
    fastcgi_temp_path tmp-f; uwsgi_temp_path tmp-u; scgi_temp_path tmp-s;
    client_body_buffer_size 16k;
    upstream behind {{ server 127.0.0.1:{behind}; keepalive 16; }}

    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {pki}/server.pem;
        ssl_certificate_key {pki}/server.key;
        ssl_client_certificate {pki}/ca.pem;
        ssl_verify_client on;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        location /banking/v1/ {{ proxy_pass http://behind/; }}
        location /authz/v1/ {{ proxy_pass http://behind/; }}
        location / {{ return 404; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Front:
    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def requests(self) -> list[dict[str, Any]]:
        """Everything that passed, in the order of the answers: path, status, protocol, client, correlation, body."""
        return [json.loads(line) for line in (self.folder / "ledger").read_text(encoding="utf-8").splitlines()]

    def forget(self) -> None:
        os.truncate(self.folder / "ledger", 0)


@contextlib.contextmanager
def front(folder: Path, behind: int, pki: Path) -> Iterator[Front]:
    """Serves /banking/v1 and /authz/v1 from the plain HTTP port `behind`, which sees neither prefix."""
    port = peers.free_port()
    folder.mkdir(parents=True)
    user = "user root;" if os.getuid() == 0 else ""  # workers of root's nginx could not write into a private folder otherwise
    (folder / "nginx.conf").write_text(CONFIGURATION.format(user=user, behind=behind, port=port, pki=pki))
    with open(folder / "log", "ab") as log:
        with peers.running([peers.program("nginx"), "-p", folder, "-e", "error.log", "-c", "nginx.conf"], port, log):
            yield Front(folder, port)
