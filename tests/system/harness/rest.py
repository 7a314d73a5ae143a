"""A REST client that checks every response against the contract (openapi.py), when the contract is there."""
import http.client
import json
import urllib.parse

from . import wait


class Response:
    """status, headers (lower-case names), text, and json (None when the body is not JSON)."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.text = body.decode(errors="replace")
        self.json = json.loads(self.text) if "json" in self.headers.get("content-type", "") and self.text else None

    @property
    def etag(self):
        return self.headers.get("etag")

    @property
    def code(self):
        """The stable code of a problem (RFC 9457)."""
        return (self.json or {}).get("code") if isinstance(self.json, dict) else None

    def __repr__(self):
        return f"{self.status} {self.text[:600]}"


class UnexpectedStatus(AssertionError):
    """The service answered, but not with the status that the test needs."""


class Client:
    """Calls to one service. token() gives the bearer token; contract may be None."""

    def __init__(self, port, token, contract=None):
        self.port = port
        self.token = token
        self.contract = contract

    def raw(self, method, path, body=None, headers=None, timeout_s=10):
        """One request, sent exactly as given: body is bytes or None. OSError when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            try:
                connection.request(method, path, body, headers or {})
            except (BrokenPipeError, ConnectionResetError):
                if connection.sock is None:  # it was never connected
                    raise
                # refused before all of the body was read: the answer is there
            answer = connection.getresponse()
            response = Response(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()
        if self.contract:
            self.contract.check(method, urllib.parse.urlsplit(path).path, response)
        return response

    def call(self, method, path, body=None, headers=None, expect=None, token=None):
        """A request below /api/v1 (a path that starts with '/api' or has no '/api' resource is given as it is).

        expect: a status, a tuple of statuses, or None for any 2xx; another one raises UnexpectedStatus.
        """
        every = {"Authorization": f"Bearer {token or self.token()}"}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            every["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        every.update(headers or {})
        every = {name: value for name, value in every.items() if value is not None}
        response = self.raw(method, path if path.startswith("/api/") else f"/api/v1{path}", content, every)
        wanted = range(200, 300) if expect is None else expect if isinstance(expect, tuple) else (expect,)
        if response.status not in wanted:
            raise UnexpectedStatus(f"{method} {path} {body}: {response}")
        if response.status == 202 and expect is None:
            self.finished(response.headers["location"])
        return response

    def finished(self, location, timeout_s=60):
        """Waits for the end of an operation that a change has become because it took long; it must not have failed."""
        ended = wait.until(lambda: (o := self.get(location).json)["state"] != "running" and o, f"the end of {location}", timeout_s)
        if ended["state"] != "succeeded":
            raise UnexpectedStatus(f"{location}: {ended}")

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def put(self, path, body, **more):
        return self.call("PUT", path, body, **more)

    def patch(self, path, body, **more):
        """Merge-patch of what is there now: reads the ETag first, unless If-Match is given."""
        headers = dict(more.pop("headers", {}))
        headers.setdefault("If-Match", self.get(path).etag)
        return self.call("PATCH", path, body, headers=headers, **more)

    def delete(self, path, **more):
        """Removes what is there now: reads the ETag first, unless If-Match is given."""
        headers = dict(more.pop("headers", {}))
        if "If-Match" not in headers:
            headers["If-Match"] = self.get(path.partition("?")[0]).etag
        return self.call("DELETE", path, headers=headers, **more)


def quote(name):
    """A name as one path segment; ':' is allowed there and stays, so that paths look as in the documentation."""
    return urllib.parse.quote(name, safe=":")
