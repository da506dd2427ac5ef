"""The models that a department serves: found by reference, loaded once, replaced while serving."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from time import monotonic
from typing import Generic, TypeAlias, TypeVar, get_args

import structlog

from polyclinic.core.errors import NotFound, PolyclinicError, Unavailable
from polyclinic.core.model import Model, Told
from polyclinic.core.settings import Settings
from polyclinic.registry.history import Alias
from polyclinic.registry.store import ModelVersion, Registry
from polyclinic.service.batching import Batcher
from polyclinic.service.telemetry import Metrics, ModelMetrics

#: How long an alias's meaning is taken for granted: the delay of `polyclinic models promote`.
FRESH_S = 1.0
#: How many loaded versions are kept: a champion, a candidate, and two asked for by version.
KEPT = 4

#: What stands after the @ of a reference, and a whole reference (see `Registry.resolve`).
VERSION = rf"^({'|'.join(get_args(Alias))}|[0-9a-f]{{6,64}})$"
REFERENCE = rf"^[a-z0-9-]{{1,64}}(@{VERSION[1:-1]})?$"

Item = TypeVar("Item")
Output = TypeVar("Output", bound=Told)

#: A version's digest, and when it was last re-weighted to the site's prevalence, if it was.
Loaded: TypeAlias = tuple[str, datetime | None]

log = structlog.get_logger()

_UNLOADABLE = Unavailable("The model cannot be loaded; the service's log tells why.")


class ModelHost(Generic[Item, Output]):
    """Serves whatever model a reference means now. Use it from one event loop."""

    def __init__(
        self,
        registry: Registry,
        kinds: Collection[str],
        load: Callable[[Registry, ModelVersion], Model[Item, Output]],
        *,
        metrics: Metrics,
        settings: Settings,
    ) -> None:
        self._registry = registry
        self._kinds = kinds
        self._load = load
        self._metrics = metrics
        self._settings = settings
        self._loading = asyncio.Lock()
        self._loaded: OrderedDict[Loaded, Batcher[Item, Output]] = OrderedDict()
        self._serving: dict[str, tuple[float, Batcher[Item, Output]]] = {}
        self._refreshes: dict[str, asyncio.Task[Batcher[Item, Output]]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        #: By reference: why the version before serves on instead of the one that it means now.
        self.fallbacks: dict[str, str] = {}

    async def predict(
        self, reference: str, items: Sequence[Item], *, explain: bool = False
    ) -> list[Output | PolyclinicError]:
        """One answer an item, in order, by the model of `reference`; see `Batcher.submit`."""
        batcher = await self.get(reference)
        return await batcher.submit(items, explain=explain)

    async def get(self, reference: str) -> Batcher[Item, Output]:
        """The model of `reference`, loaded.

        When its current version cannot be loaded, the one before it serves on. Raises what
        `Registry.resolve` raises, `NotFound` also when the model is of another kind, and a typed
        error when none can be loaded.
        """
        until, batcher = self._serving.get(reference, (0.0, None))
        if batcher is not None and monotonic() < until:
            return batcher
        refresh = self._refreshes.get(reference)
        if refresh is None:
            refresh = self._refreshes[reference] = asyncio.ensure_future(self._refresh(reference))
            refresh.add_done_callback(lambda _: self._refreshes.pop(reference))
        return await asyncio.shield(refresh)

    async def close(self) -> None:
        """Finish what was accepted and let the models go."""
        for loaded in list(self._loaded):
            self._put_away(loaded)
        await asyncio.gather(*self._closing)

    async def _refresh(self, reference: str) -> Batcher[Item, Output]:
        _, before = self._serving.get(reference, (0.0, None))
        try:
            batcher = await self._current(reference)
        except Exception as error:
            told = error if isinstance(error, PolyclinicError) else _UNLOADABLE
            if told.status < 500:  # the caller's mistake, or a model that is there no more
                self._serving.pop(reference, None)
                raise
            log.exception("a model cannot be loaded")
            if before is None:
                raise told from error
            self.fallbacks[reference] = told.detail
            batcher = before
        else:
            self.fallbacks.pop(reference, None)
        self._serving[reference] = (monotonic() + FRESH_S, batcher)
        return batcher

    async def _current(self, reference: str) -> Batcher[Item, Output]:
        version = await asyncio.to_thread(self._registry.resolve, reference)
        if version.kind not in self._kinds:
            raise NotFound(
                f"The model's kind is {version.kind}; here {' and '.join(self._kinds)} is served.",
                where="query model",
            )
        reweighting = await asyncio.to_thread(self._registry.reweighting, version)
        loaded = (version.digest, reweighting.time if reweighting else None)
        async with self._loading:
            if loaded not in self._loaded:
                model = await asyncio.to_thread(self._load, self._registry, version)
                self._loaded[loaded] = self._batcher(model)
                log.info("model loaded", model=version.identity.name, version=version.version)
            self._loaded.move_to_end(loaded)
            if len(self._loaded) > KEPT:
                self._put_away(next(iter(self._loaded)))
        return self._loaded[loaded]

    def _batcher(self, model: Model[Item, Output]) -> Batcher[Item, Output]:
        return Batcher(
            model.predict,
            max_batch=self._settings.max_batch,
            max_queue=self._settings.max_queue,
            metrics=ModelMetrics(self._metrics, model.identity),
        )

    def _put_away(self, loaded: Loaded) -> None:
        batcher = self._loaded.pop(loaded)
        self._serving = {
            reference: entry for reference, entry in self._serving.items() if entry[1] != batcher
        }
        closing = asyncio.ensure_future(batcher.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
