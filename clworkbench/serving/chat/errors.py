"""Refusals in the shape that OpenAI's clients read."""

from starlette.responses import JSONResponse

from clworkbench.serving.bodies import Refused

SERVER = "server_error"
TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 500: SERVER, 503: SERVER}


class Wrong(Refused):
    """A request that means nothing here: its status and why, the field that says so, and a word for programs."""

    def __init__(
        self,
        why: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(status, why, retry_after_s)
        self.param, self.code = param, code


def body(no: Refused) -> dict[str, object]:
    """An error as OpenAI's API words it.

    Source: https://platform.openai.com/docs/guides/error-codes, and the `error` object of its OpenAPI description.
    """
    return {
        "error": {
            "message": no.why,
            "type": TYPES.get(no.status, "invalid_request_error"),
            "param": getattr(no, "param", None),
            "code": getattr(no, "code", None),
        }
    }


def response(no: Refused) -> JSONResponse:
    """The refusal as an answer."""
    headers = {"Retry-After": str(no.retry_after_s)} if no.retry_after_s else {}
    if no.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body(no), status_code=no.status, headers=headers)
