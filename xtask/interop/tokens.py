"""The token service of a registry, for `xtask interop registry`: the "Token Authentication
Specification" of CNCF distribution, with PyJWT and cryptography.

    tokens.py FOLDER
        reads FOLDER/settings.json ({"service", "issuer", "users": {NAME: {"password", "actions"}}}),
        makes a key, writes its certificate to FOLDER/roots.pem for the registry to trust, serves on a
        free port of 127.0.0.1, and writes the URL to FOLDER/url. Each request leaves a line of JSON
        in FOLDER/requests: who asked, for which scopes, and with which status it was answered.
"""

import base64
import datetime
import hmac
import json
import os
import sys
import threading
import uuid
from urllib.parse import parse_qs, urlsplit

import jwt
import loopback
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# How long a token holds; clients that are told nothing take it for this.
TOKEN_SECONDS = 60


def certified(issuer):
    """A key, and a certificate for it that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


class Service:
    """Who may do what, and the key that says so."""

    def __init__(self, settings):
        self.service = settings["service"]
        self.issuer = settings["issuer"]
        self.users = settings["users"]
        self.key, self.certificate = certified(self.issuer)

    def user(self, authorization):
        """The user that a header of HTTP's basic authentication names, if the password is right."""
        scheme, _, credentials = (authorization or "").partition(" ")
        if scheme.lower() != "basic":
            return None
        name, _, password = base64.b64decode(credentials).decode().partition(":")
        known = self.users.get(name, {}).get("password", "")
        return name if known and hmac.compare_digest(known, password) else None

    def token(self, user, scopes):
        """A token for what this user may do of what is asked for; the rest is left out."""
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            granted = [one for one in actions.split(",") if one in self.users[user]["actions"]]
            if kind == "repository":
                access.append({"type": kind, "name": name, "actions": granted})
        now = int(datetime.datetime.now(datetime.timezone.utc).timestamp())
        claims = {
            "iss": self.issuer,
            "sub": user,
            "aud": self.service,
            "iat": now,
            "nbf": now - 10,
            "exp": now + TOKEN_SECONDS,
            "jti": str(uuid.uuid4()),
            "access": access,
        }
        certificate = self.certificate.public_bytes(serialization.Encoding.DER)
        header = {"x5c": [base64.b64encode(certificate).decode()]}
        return jwt.encode(claims, self.key, algorithm="ES256", headers=header)


def main(folder):
    with open(os.path.join(folder, "settings.json"), encoding="utf-8") as file:
        service = Service(json.load(file))
    with open(os.path.join(folder, "roots.pem"), "wb") as file:
        file.write(service.certificate.public_bytes(serialization.Encoding.PEM))
    requests = open(os.path.join(folder, "requests"), "w", encoding="utf-8")
    lock = threading.Lock()

    class Handler(loopback.Handler):
        def do_GET(self):
            url = urlsplit(self.path)
            query = parse_qs(url.query)
            scopes = [scope for line in query.get("scope", []) for scope in line.split()]
            user = service.user(self.headers.get("Authorization"))
            if url.path != "/token" or query.get("service") != [service.service]:
                status, answer = 400, {"details": "this gives tokens for one service only"}
            elif user is None:
                status, answer = 401, {"details": "wrong user or password"}
            else:
                token = service.token(user, scopes)
                status, answer = 200, {"token": token, "expires_in": TOKEN_SECONDS}
            with lock:
                record = {"user": user, "scopes": scopes, "status": status}
                requests.write(json.dumps(record) + "\n")
                requests.flush()
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    loopback.serve(Handler, folder)


if __name__ == "__main__":
    main(sys.argv[1])
