"""Checks responses against the OpenAPI 3.1 contract.

OpenAPI 3.1 schemas are JSON Schema 2020-12, which python3-jsonschema validates; what remains to do here is to find the
schema for (method, path, status, content type), following $ref through the files of openapi/.
"""
import pathlib
import re
import urllib.parse

import jsonschema
import yaml


class ContractBroken(AssertionError):
    """A response that the contract does not allow."""


class Contract:
    """The contract in one directory; its root is the file with `paths`."""

    def __init__(self, directory):
        self.files = {}
        roots = []
        for path in sorted(pathlib.Path(directory).glob("*.yaml")):
            document = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            self.files[path.resolve().as_uri()] = document
            if isinstance(document, dict) and "paths" in document:
                roots.append(path.resolve().as_uri())
        if len(roots) != 1:
            raise ContractBroken(f"{directory} has {len(roots)} documents with paths, not one")
        self.root = roots[0]
        self.document = self.files[self.root]
        self.operations = self._operations()
        self.unseen = set(self.operations)

    def _follow(self, node, base):
        """The node that a chain of $ref leads to, and the file it is in."""
        while isinstance(node, dict) and "$ref" in node:
            target, _, fragment = urllib.parse.urljoin(base, node["$ref"]).partition("#")
            base, node = target, self.files[target]
            for part in fragment.strip("/").split("/") if fragment.strip("/") else []:
                node = node[urllib.parse.unquote(part).replace("~1", "/").replace("~0", "~")]
        return node, base

    def _operations(self):
        """{(method, template): (regular expression, operation, file)}; server prefix included."""
        prefix = urllib.parse.urlsplit(self.document.get("servers", [{"url": ""}])[0]["url"]).path.rstrip("/")
        found = {}
        for template, item in self.document["paths"].items():
            item, base = self._follow(item, self.root)
            servers = item.get("servers")
            start = urllib.parse.urlsplit(servers[0]["url"]).path.rstrip("/") if servers else prefix
            pattern = re.compile(re.sub(r"\\\{[^/]*?\\\}", "[^/]+", re.escape(start + template)) + r"\Z")
            for method in ("get", "put", "post", "patch", "delete", "head"):
                if method in item:
                    found[method.upper(), start + template] = (pattern, item[method], base)
        return found

    def _find(self, method, path):
        """The operation for a path: an exact template before one with parameters."""
        matching = [k for k, (pattern, _, _) in self.operations.items() if k[0] == method and pattern.match(path)]
        return min(matching, key=lambda k: k[1].count("{"), default=None)

    def check(self, method, path, response):
        """ContractBroken when the response is not what the contract says. Unknown paths must be answered 404 or 405."""
        key = self._find(method, path)
        if key is None:
            if response.status not in (400, 401, 404, 405, 414, 431, 501):
                raise ContractBroken(f"{method} {path}: {response.status}, but it is not in the contract")
            return
        self.unseen.discard(key)
        _, operation, base = self.operations[key]
        responses = operation["responses"]
        described = responses.get(str(response.status), responses.get("default"))
        if described is None:
            raise ContractBroken(f"{method} {key[1]}: status {response.status} is not in the contract: {response}")
        described, base = self._follow(described, base)
        self._check_headers(key, described, base, response)
        self._check_body(key, described, base, response)

    def _check_headers(self, key, described, base, response):
        for name, header in described.get("headers", {}).items():
            header, where = self._follow(header, base)
            value = response.headers.get(name.lower())
            if value is None and header.get("required"):
                raise ContractBroken(f"{key}: {response.status} without the header {name}")

    def _check_body(self, key, described, base, response):
        content = described.get("content", {})
        kind = response.headers.get("content-type", "").partition(";")[0].strip()
        if not content:
            if response.text:
                raise ContractBroken(f"{key}: {response.status} should have no body: {response}")
            return
        if kind not in content:
            raise ContractBroken(f"{key}: {response.status} has content type '{kind}', not one of {list(content)}")
        if "json" not in kind or "schema" not in content[kind]:
            return
        resolver = jsonschema.RefResolver(base, self.files[base], store=dict(self.files))
        validator = jsonschema.Draft202012Validator(content[kind]["schema"], resolver=resolver)
        for error in validator.iter_errors(response.json):
            where = "/".join(str(p) for p in error.absolute_path)
            raise ContractBroken(f"{key}: {response.status}: /{where}: {error.message[:400]}")
