"""What the service says when it refuses.

The manual shows the shape of the body (`code`, `message`) and one single code, E300003. The codes here are
ours; they all begin with E9 so that nobody takes them for the vendor's.
"""

import json
from dataclasses import dataclass
from enum import Enum


class Problem(Enum):
    NO_SUCH_PATH = ("E900001", "There is no such resource.", "リソースが存在しません。")
    METHOD = ("E900002", "The method is not allowed here.", "このメソッドは使用できません。")
    TOO_LARGE = ("E900003", "The request is too large.", "リクエストが大きすぎます。")
    NOT_HTTP = ("E900004", "The request is not valid HTTP.", "HTTPリクエストが不正です。")
    OUR_FAULT = ("E900005", "The stand-in failed; its log says why.", "内部エラーが発生しました。")
    KEY_MISSING = ("E910001", "No API key was sent.", "APIキーが指定されていません。")
    KEY_INVALID = ("E910002", "The API key is not valid.", "APIキーが無効です。")
    KEY_EXPIRED = ("E910003", "The API key has expired.", "APIキーの有効期限が切れています。")
    SCOPE_MISSING = ("E910004", "The API key lacks the scope.", "APIキーに権限がありません。")
    RATE_LIMIT = ("E910005", "Too many requests.", "リクエスト数の上限を超えました。")
    PARAMETER = ("E920001", "A parameter is not valid.", "パラメータが不正です。")
    BODY = ("E920002", "The body is not valid.", "リクエストボディが不正です。")
    SESSION_UNKNOWN = ("E930001", "There is no such session.", "セッションが存在しません。")
    SESSION_ENDED = ("E930002", "The session has ended.", "セッションは終了しています。")
    ENDPOINT = ("E930003", "The session is not at this endpoint.", "エンドポイントが一致しません。")
    UNSUPPORTED = ("E930004", "The agent cannot be disconnected.", "このAgentは切断できません。")
    CLOSING = ("E930005", "The session is already closing.", "セッションはすでに切断中です。")
    CONTROL = ("E990001", "The stand-in cannot do that.", "操作できません。")
    CROSS_SITE = ("E990002", "This is for local programs, not for web pages.", "ローカル専用です。")

    def __init__(self, code: str, english: str, japanese: str) -> None:
        self.code = code
        self.english = english
        self.japanese = japanese

    def body(self, detail: str = "", language: str = "en") -> bytes:
        message = self.japanese if language == "ja" else self.english
        return encode({"code": self.code, "message": f"{message} {detail}".strip()})


@dataclass(slots=True)
class Refused(Exception):  # noqa: N818 - it is an answer, not an error of ours
    problem: Problem
    status: int
    detail: str = ""
    headers: tuple[tuple[str, str], ...] = ()


def encode(value: object) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can carry
        return json.dumps(value, separators=(",", ":")).encode()
