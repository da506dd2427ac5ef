"""What the house tells its operators: JSON log lines and Prometheus metrics, free of patient data.

A log line holds the request id, the route template, the status and the time taken; never a query,
a file name, a body or a prediction.
"""

import logging
import re
import sys
import traceback
import uuid
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, cast

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import EventDict, Processor

from polyclinic.core.errors import PolyclinicError
from polyclinic.core.model import Told
from polyclinic.core.prediction import ModelIdentity
from polyclinic.service.problems import CALLER_LEFT, problem_response

REQUEST_ID = "X-Request-Id"
log = structlog.get_logger()

# The time at which each series was made is of use to nobody here, and doubles the scrape.
cast("Callable[[], None]", disable_created_metrics)()

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


def _without_values(_: Any, __: str, event: EventDict) -> EventDict:
    """Tell an exception by its type and frames; its message may quote what a patient sent."""
    exc_info = event.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    if exc_info and exc_info[0] is not None:
        event["exception"] = f"{exc_info[0].__module__}.{exc_info[0].__qualname__}"
        event["frames"] = [
            f"{frame.filename}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(exc_info[2])
        ]
    return event


def configure_logging(service: str) -> None:
    """Write every log line of this process, the libraries' too, as JSON on standard error."""

    def name_service(_: Any, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_service,
        _without_values,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


class Metrics:
    """One service's Prometheus metrics, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "polyclinic_requests",
            "Requests answered.",
            ("route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "polyclinic_request_seconds",
            "Time from a request's first byte to its answer's last.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        model = ("model", "version")
        self.batch_size = Histogram(
            "polyclinic_batch_size",
            "Items that a model was given at once.",
            model,
            buckets=_SIZES,
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "polyclinic_queue_depth", "Items that wait for a model.", model, registry=self.registry
        )
        self.answers = Counter(
            "polyclinic_answers",
            "Items answered: predicted, abstained or failed.",
            (*model, "outcome"),
            registry=self.registry,
        )
        self.unfamiliar = Counter(
            "polyclinic_unfamiliar",
            "Items unlike what the model was made from.",
            model,
            registry=self.registry,
        )

    def text(self) -> bytes:
        """Every metric in Prometheus' text format."""
        return generate_latest(self.registry)


class ModelMetrics:
    """The metrics of one model version."""

    def __init__(self, metrics: Metrics, model: ModelIdentity) -> None:
        labels = (model.name, model.version)
        self._batch_size = metrics.batch_size.labels(*labels)
        self._queue_depth = metrics.queue_depth.labels(*labels)
        self._unfamiliar = metrics.unfamiliar.labels(*labels)
        self._predicted, self._abstained, self._failed = (
            metrics.answers.labels(*labels, outcome)
            for outcome in ("predicted", "abstained", "failed")
        )

    def waiting(self, items: int) -> None:
        """Note how many items wait."""
        self._queue_depth.set(items)

    def batch(self, answers: Sequence[Told | PolyclinicError]) -> None:
        """Count a batch's answers."""
        self._batch_size.observe(len(answers))
        for answer in answers:
            if isinstance(answer, PolyclinicError):
                self._failed.inc()
                continue
            (self._abstained if answer.abstained else self._predicted).inc()
            if answer.familiarity is not None and not answer.familiarity.familiar:
                self._unfamiliar.inc()


class Observed:
    """The outermost layer of a service: gives each request an id, one log line and its metrics.

    What no inner layer answered is answered here as an internal problem without inner details.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        asked = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = asked if _SANE_ID.fullmatch(asked) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_with_id)
            except Exception:
                log.exception("unexpected error")
                if status:  # too late for another answer: let the server cut the connection
                    raise
                await problem_response(_unexpected(request_id))(scope, receive, send_with_id)
            finally:
                seconds = perf_counter() - started
                status = status or CALLER_LEFT
                route = getattr(scope.get("route"), "path", "(none)")
                self.metrics.requests.labels(route, status).inc()
                self.metrics.seconds.labels(route).observe(seconds)
                ms = round(seconds * 1000, 2)
                log.info("request", method=scope["method"], route=route, status=status, ms=ms)


def _unexpected(request_id: str) -> PolyclinicError:
    return PolyclinicError(
        "An unexpected error was met; the service's log has it.",
        remedy=f"Tell the operator the request id {request_id}.",
    )
