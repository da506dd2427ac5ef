"""Tuning: Optuna searches the space that a recipe declares, network structure included."""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import optuna

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.train.checkpoint import Epoch
from polyclinic.learning.train.settings import Choices, Range, TuneSettings
from polyclinic.learning.train.trainer import Diverged

#: Train with these changes to the recipe and give the lowest validation loss. The second argument
#: is to be called after every epoch; it raises to end a hopeless trial.
TrialRun = Callable[[dict[str, Any], Callable[[Epoch], None]], float]


def tune(
    settings: TuneSettings,
    run: TrialRun,
    *,
    study: str,
    database: Path,
    seed: int,
    on_trial: Callable[[int, float], None] = lambda number, loss: None,
) -> dict[str, Any]:
    """The changes to the recipe that gave the lowest validation loss.

    Trials are proposed by TPE (Bergstra et al. 2011), pruned below the median of earlier ones at
    the same epoch, and ended when their loss is no longer a number. They are kept in `database`
    under the name `study`: a search that was killed goes on where it stopped, the trial under way
    begun anew. `on_trial` hears of every finished trial: how many are done, best loss.
    Raises `InvalidInput` where no trial came to its end.
    """
    optuna.logging.set_verbosity(logging.WARNING)
    database.parent.mkdir(parents=True, exist_ok=True)
    search = optuna.create_study(
        study_name=study,
        storage=f"sqlite:///{database}",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
    )
    for trial in search.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        search.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    # A resumed search must not propose its first trials again.
    search.sampler = optuna.samplers.TPESampler(seed=seed + len(search.trials))

    def objective(trial: optuna.Trial) -> float:
        changes = {path: _suggest(trial, path, part) for path, part in settings.space.items()}

        def report(epoch: Epoch) -> None:
            trial.report(epoch.validation_loss, epoch.number)
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            return run(changes, report)
        except Diverged:
            raise optuna.TrialPruned from None

    def best_loss() -> float:
        complete = search.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        return min((trial.value or 0.0 for trial in complete), default=math.inf)

    finished = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    while (done := len(search.get_trials(deepcopy=False, states=finished))) < settings.trials:
        search.optimize(objective, n_trials=1)
        on_trial(done + 1, best_loss())
    if best_loss() == math.inf:
        raise InvalidInput(
            "No trial came to its end: each was hopeless or its loss no longer a number.",
            where="tune.space",
            remedy="Narrow the space, or allow more trials.",
        )
    return dict(search.best_params)


def _suggest(trial: optuna.Trial, path: str, part: Range | Choices) -> bool | float | str:
    if isinstance(part, Choices):
        return cast("bool | float | str", trial.suggest_categorical(path, list(part.choices)))
    if isinstance(part.low, int) and isinstance(part.high, int):
        return trial.suggest_int(path, part.low, part.high, log=part.log)
    return trial.suggest_float(path, part.low, part.high, log=part.log)
