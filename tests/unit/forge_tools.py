"""A played forge: the parts of the interfaces of GitLab, Gitea and GitHub that we use."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

from telling_tools import Request

COMMIT = "a" * 40
TOKEN = "tok3n-of-the-robot"
ME, SOMEBODY = 7, 8
KINDS = ("gitlab", "gitea", "github")


class Played:
    """A forge with one project "org/suite" and one request, number 5."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.statuses: list[dict[str, Any]] = []
        self.notes: list[dict[str, Any]] = []
        self.tells_user = True
        self.trouble: tuple[int, Any] | None = None
        prefix = "/api/v4/projects/42" if kind == "gitlab" else "/repos/org/suite"
        if kind == "gitea":
            prefix = f"/api/v1{prefix}"
        request = "/merge_requests/5/notes" if kind == "gitlab" else "/issues/5/comments"
        self.routes = {
            ("GET", r".*/user"): self.user,
            ("GET", rf"{prefix}/commits/{COMMIT}"): lambda _r, _n: (200, {"sha": COMMIT}),
            ("GET", rf"{prefix}/issues/5"): lambda r, _n: (200, self.issue(r)),
            ("POST", rf"{prefix}/statuses/{COMMIT}"): self.mark,
            ("GET", rf"{prefix}{request}"): lambda _r, _n: (200, self.notes),
            ("POST", rf"{prefix}{request}"): self.add,
            ("GET", rf"{prefix}/issues/comments/(\d+)"): self.one,
            ("PUT", rf"{prefix}{request}/(\d+)"): self.change,
            ("PATCH", rf"{prefix}/issues/comments/(\d+)"): self.change,
        }

    def __call__(self, request: Request) -> tuple[int, Any]:
        header = request.headers.get("authorization", request.headers.get("private-token", ""))
        if header.removeprefix("token ").removeprefix("Bearer ") != TOKEN:
            return 401, {"message": "Bad credentials"}
        if self.trouble is not None:
            return self.trouble
        self.site = f"http://{request.headers['host']}"
        path = unquote(urlsplit(request.path).path)
        for (method, pattern), answer in self.routes.items():
            found = re.fullmatch(pattern, path)
            if found and method == request.method:
                return answer(request, found)
        return 404, {"message": f"no route {request.method} {path}"}

    def user(self, _request: Request, _found: object) -> tuple[int, Any]:
        if not self.tells_user:
            return 403, {"message": "Resource not accessible by integration"}
        return 200, self.person(ME)

    def person(self, number: int) -> dict[str, Any]:
        return {"id": number, "login": f"user{number}", "username": f"user{number}", "type": "User"}

    def issue(self, _request: Request) -> dict[str, Any]:
        url = f"{self.site}/repos/org/suite/issues/5"
        return {"number": 5, "url": url, "comments_url": f"{url}/comments"}

    def mark(self, request: Request, _found: object) -> tuple[int, Any]:
        self.statuses.append(request.json)
        return 201, {"id": len(self.statuses), "state": request.json["state"]}

    def written(self, number: int, text: str, author: int = ME) -> dict[str, Any]:
        person = self.person(author)
        return {
            "id": number,
            "body": text,
            "author": person,
            "user": person,
            "url": f"{getattr(self, 'site', '')}/repos/org/suite/issues/comments/{number}",
        }

    def add(self, request: Request, _found: object) -> tuple[int, Any]:
        self.notes.append(self.written(100 + len(self.notes), request.json["body"]))
        return 201, self.notes[-1]

    def one(self, _request: Request, found: re.Match[str]) -> tuple[int, Any]:
        return 200, next(note for note in self.notes if note["id"] == int(found[1]))

    def change(self, request: Request, found: re.Match[str]) -> tuple[int, Any]:
        note = next(note for note in self.notes if note["id"] == int(found[1]))
        note["body"] = request.json["body"]
        return 200, note
