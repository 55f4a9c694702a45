"""``search`` in ``config/experiments.yaml``: which fields of view, found within a budget.

The paper ends with "no procedure exists to select the optimal combination of spatial resolutions a priori".  A search
is one: single views first, then the combinations that complement each other best, halved rung by rung
(:mod:`hooknet.search`); its winner, its runner-up and the single views become experiments.
"""

from __future__ import annotations

from functools import cached_property, partial
from itertools import combinations, product
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from hooknet.config.branched import BranchedSettings, NetworkOptions
from hooknet.config.candidates import Candidate, Rungs, Work, rung_sizes, share_out, single, stretched
from hooknet.config.dense import InferOptions, TrainOptions
from hooknet.config.document import Settings, explain, place
from hooknet.config.experiment import AugmentOptions, Count, NotNegative
from hooknet.config.types import PositiveFloat, Seed
from hooknet.errors import ConfigError, ShapeError
from hooknet.shapes.hooks import chain_hooks, star_hooks

Views = Annotated[int, Field(ge=2, le=8)]
Weight = Annotated[float, Field(gt=0, le=1)]


class SearchSettings(Settings):
    """One search; below ``tolerance`` stand settings that all its trials share, as in experiments."""

    dataset: str
    spacings: Annotated[tuple[PositiveFloat, ...], Field(min_length=2)]
    branches: Annotated[tuple[Views, ...], Field(min_length=1)] = (2, 3)
    merges: Annotated[
        tuple[Literal["concat", "add", "subtract", "multiply", "attention"], ...], Field(min_length=1)
    ] = ("concat",)
    target_weights: Annotated[tuple[Weight, ...], Field(min_length=1)] = (0.75,)
    budget: PositiveFloat = 2.0
    entrants: Count = 4
    reduction: Annotated[int, Field(ge=2)] = 3
    tolerance: NotNegative = 0.01
    fold: int | None = None
    seed: Seed = 1
    patch_size: Count = 284
    network: NetworkOptions = NetworkOptions()
    train: TrainOptions = TrainOptions()
    augment: AugmentOptions = AugmentOptions()
    infer: InferOptions = InferOptions()

    @field_validator("spacings", "branches", "merges", "target_weights")
    @classmethod
    def _distinct(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        # As they stand in the names of runs.
        told = [one if isinstance(one, str) else f"{one:g}" for one in values]
        if len(set(told)) != len(told):
            raise ValueError(f"{list(values)} names one twice (six digits tell them apart); name each once")
        return tuple(sorted(values)) if not isinstance(values[0], str) else values

    @model_validator(mode="after")
    def _its_own(self) -> SearchSettings:
        if self.network.merge != "concat":
            raise ValueError("network.merge is what a search looks for; list kinds in `merges`")
        if self.network.hooks is not None:
            raise ValueError(
                "network.hooks fit one of a search's networks only; leave them out, or say hook_layout"
            )
        if self.train.init_from is not None:
            raise ValueError("train.init_from fits one of a search's networks only; leave it out")
        if self.infer.ensemble:
            raise ValueError("infer.ensemble has weights of its own, and a search trains; leave it out")
        return self

    def named_files(self) -> dict[str, str]:
        """Key -> path of each file that it names: code and weights of an encoder."""
        return {} if self.network.encoder is None else self.network.encoder.named_files()

    @property
    def singles(self) -> tuple[Candidate, ...]:
        """The single views, finest first."""
        return tuple(single(spacing) for spacing in self.spacings)

    @cached_property
    def combinations(self) -> tuple[tuple[float, ...], ...]:
        """Spacings that can be hooked together, of as many branches as are asked for, fewest first.

        Those that cannot (of a ratio that is no power of two, or beyond the network's depth) are left out; what else
        keeps a network from being built is no reason to, and an error of :meth:`check`.
        """
        wanted = (one for count in self.branches for one in combinations(self.spacings, count))
        return tuple(one for one in wanted if self._can_be_hooked(one))

    def variants(self, spacings: tuple[float, ...]) -> tuple[Candidate, ...]:
        """A combination with each kind of hook and each λ."""
        return tuple(
            Candidate(len(spacings), spacings, merge, weight)
            for merge, weight in product(self.merges, self.target_weights)
        )

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All that may be chosen: single views, then each combination in all its variants."""
        return (*self.singles, *(one for spacings in self.combinations for one in self.variants(spacings)))

    @property
    def all_entrants(self) -> int:
        """How many of the combinations' variants are tried."""
        return min(self.entrants, len(self.candidates) - len(self.singles))

    @property
    def rungs(self) -> Rungs:
        """How long trials are trained, and how many, where all entrants enter; ConfigError for too small a budget.

        Counted in multiplications: the budget holds whichever candidate is trained in full.
        """
        sizes = rung_sizes(len(self.singles) + self.all_entrants, self.reduction)
        wanted = self.budget * self.train.epochs
        return share_out(sizes, self.all_entrants, self.reduction, wanted, self.train.epochs, self.work)

    def rungs_of(self, entrants: int) -> Rungs:
        """The rungs when so many combinations enter: the first as planned, the others as long as the budget allows."""
        sizes = rung_sizes(len(self.singles) + entrants, self.reduction)
        wanted = self.budget * self.train.epochs
        return stretched(self.rungs.epochs[0], sizes, entrants, wanted, self.train.epochs, self.work)

    @cached_property
    def work(self) -> Work:
        """What trials cost an epoch."""
        each = {one: self._multiplications(one) for one in self.candidates}
        least = min(each.values())
        singles = sum(each[one] for one in self.singles) / least
        combination = max(cost for one, cost in each.items() if one.views > 1) / least
        return Work(singles, combination, max(each.values()) / least)

    def _multiplications(self, candidate: Candidate) -> int:
        return self.settings_of(candidate).network_settings(2).shape.multiply_accumulates()

    def settings_of(self, candidate: Candidate) -> BranchedSettings:
        """The candidate as an experiment, of as many parameters as any other of the search.

        ConfigError where settings do not go with its spacings.
        """
        return _experiment(
            candidate.view,
            dataset=self.dataset,
            model="unet" if candidate.views == 1 else "hooknet",
            seeds=(self.seed,),
            folds=None if self.fold is None else (self.fold,),
            spacings=candidate.spacings,
            loss_weights=candidate.loss_weights,
            patch_size=self.patch_size,
            network=self._network(candidate, {"parameters": self.parameters}),
            train=self.train,
            augment=self.augment,
            infer=self.infer,
        )

    @cached_property
    def parameters(self) -> int:
        """Of every candidate, as nearly as whole filters allow; given, or those of the finest view's U-Net.

        Of as many classes as two: what more of them add is no matter.
        """
        if self.network.parameters is not None:
            return self.network.parameters
        finest = _experiment(
            self.singles[0].view,
            dataset=self.dataset,
            model="unet",
            spacings=self.spacings[:1],
            patch_size=self.patch_size,
            network=self._network(self.singles[0], self.network.model_dump(include={"filters"})),
        )
        return finest.network_settings(2).shape.parameter_count

    def check(self, classes: int) -> None:
        """ConfigError or ShapeError where there is nothing to search, or what is searched cannot be built."""
        for one in self.singles:
            self.settings_of(one).network_settings(classes)
        if not self.combinations:
            raise ConfigError(
                f"no {' or '.join(map(str, self.branches))} of the spacings {list(self.spacings)} can be hooked "
                f"together by networks of depth {self.network.halvings}; give spacings a power of two apart"
            )
        for one in self.candidates:
            self.settings_of(one).network_settings(classes)
        _ = self.rungs

    def _can_be_hooked(self, spacings: tuple[float, ...]) -> bool:
        try:
            (star_hooks if self.network.hook_layout == "star" else chain_hooks)(
                spacings, self.network.halvings
            )
        except ShapeError:
            return False
        return True

    def _network(self, candidate: Candidate, size: dict[str, int]) -> NetworkOptions:
        """The network's settings as a candidate has them; ``size``: its ``filters`` or ``parameters``."""
        left_out = {"filters", "parameters", "merge", *(("hook_layout",) if candidate.views == 1 else ())}
        common: dict[str, Any] = self.network.model_dump(exclude=left_out, exclude_unset=True)
        merge: dict[str, Any] = {} if candidate.merge is None else {"merge": candidate.merge}
        return NetworkOptions(**{**common, **size, **merge})


def _experiment(view: str, **settings: Any) -> BranchedSettings:
    try:
        return BranchedSettings(**settings)
    except ValidationError as error:
        raise ConfigError(
            explain(error, BranchedSettings, partial(place, f"with {view} µm/px", ""))
        ) from None
