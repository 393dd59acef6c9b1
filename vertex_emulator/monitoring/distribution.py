"""Histograms: how a DISTRIBUTION point is collected, merged, and asked for its percentiles.

The bucket layout of Vertex AI's ``prediction_latencies`` is not documented, so the three layouts of ``google.api.Distribution``
are all available and a reader has to cope with each.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from vertex_emulator.monitoring import protos
from vertex_emulator.monitoring.protos import Message


@dataclass(frozen=True)
class Buckets:
    """Where one bucket ends and the next begins.

    Bucket 0 holds everything below the first bound, bucket ``i`` what lies in ``[bounds[i-1], bounds[i])``, the last one the rest.
    """

    bounds: tuple[float, ...]
    kind: str = "explicit"
    parameters: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def explicit(cls, bounds: tuple[float, ...]) -> Buckets:
        """Bounds given one by one, increasing."""
        if not bounds or list(bounds) != sorted(set(bounds)):
            raise ValueError(f"explicit bucket bounds must be non-empty and strictly increasing, not {bounds}")
        return cls(bounds)

    @classmethod
    def linear(cls, finite: int, width: float, offset: float) -> Buckets:
        """``finite`` buckets of equal ``width``, the first beginning at ``offset``."""
        return cls(tuple(offset + width * i for i in range(finite + 1)), "linear", (width, offset))

    @classmethod
    def exponential(cls, finite: int, growth: float, scale: float) -> Buckets:
        """``finite`` buckets, each ``growth`` times as wide as the one before; the first begins at ``scale``."""
        return cls(tuple(scale * growth**i for i in range(finite + 1)), "exponential", (growth, scale))

    @classmethod
    def described(cls, layout: Mapping[str, Any]) -> Buckets:
        """The layout that a mapping describes by the name of one of the three above and its arguments."""
        makers: dict[str, Callable[..., Buckets]] = {
            "explicit": lambda bounds: cls.explicit(tuple(float(bound) for bound in bounds)),
            "linear": cls.linear,
            "exponential": cls.exponential,
        }
        if len(layout) != 1 or (name := next(iter(layout))) not in makers:
            raise ValueError(f"a bucket layout has one key of {', '.join(makers)}, not {', '.join(layout) or 'none'}")
        try:
            return makers[name](**layout[name])
        except TypeError as error:
            raise ValueError(f"the {name} bucket layout {layout[name]!r} cannot be used: {error}") from error

    @classmethod
    def from_proto(cls, options: Message) -> Buckets:
        """The layout that a written ``google.api.Distribution`` declares."""
        kind = options.WhichOneof("options")
        if kind == "linear_buckets":
            linear = options.linear_buckets
            return cls.linear(linear.num_finite_buckets, linear.width, linear.offset)
        if kind == "exponential_buckets":
            growing = options.exponential_buckets
            return cls.exponential(growing.num_finite_buckets, growing.growth_factor, growing.scale)
        return cls.explicit(tuple(options.explicit_buckets.bounds) or (0.0,))

    @cached_property
    def proto(self) -> Message:
        """The layout as ``to_proto`` makes it, made once: to be read only."""
        return self.to_proto()

    def to_proto(self) -> Message:
        """The layout as ``google.api.Distribution.BucketOptions``."""
        options = protos.BucketOptions()
        first, second = self.parameters
        if self.kind == "linear":
            options.linear_buckets.num_finite_buckets = len(self.bounds) - 1
            options.linear_buckets.width, options.linear_buckets.offset = first, second
        elif self.kind == "exponential":
            options.exponential_buckets.num_finite_buckets = len(self.bounds) - 1
            options.exponential_buckets.growth_factor, options.exponential_buckets.scale = first, second
        else:
            options.explicit_buckets.bounds.extend(self.bounds)
        return options


LATENCY_BUCKETS = Buckets.exponential(finite=120, growth=1.1, scale=1.0)
"""From 1 ms to 93 s in steps of 10 %: a percentile read from it is at most that far off."""


@dataclass
class Distribution:
    """Counts per bucket, with the moments that Google's message carries; counts are sparse, as latencies are narrow."""

    buckets: Buckets
    counts: dict[int, int] = field(default_factory=dict)
    count: int = 0
    mean: float = 0.0
    squared_deviation: float = 0.0

    def observe(self, value: float) -> None:
        """Add one observation; the moments by Welford's update, which does not cancel."""
        bucket = bisect_right(self.buckets.bounds, value)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.count += 1
        step = value - self.mean
        self.mean += step / self.count
        self.squared_deviation += step * (value - self.mean)

    def observe_all(self, values: Sequence[float]) -> None:
        """Add many observations, at a fraction of what they cost one by one; their moments are merged (Chan, Golub, LeVeque)."""
        if not values:
            return
        for bucket, count in Counter(map(partial(bisect_right, self.buckets.bounds), values)).items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        mean = math.fsum(values) / len(values)
        squared = math.fsum((value - mean) ** 2 for value in values)
        self._merge_moments(len(values), mean, squared)

    def copy(self) -> Distribution:
        """An independent copy: what a reader gets while observations go on."""
        return Distribution(self.buckets, dict(self.counts), self.count, self.mean, self.squared_deviation)

    def merge(self, other: Distribution) -> None:
        """Add all of ``other``'s observations; both must use the same buckets."""
        if other.buckets.bounds != self.buckets.bounds:
            raise ValueError("distributions with different bucket bounds cannot be merged")
        if other.count:
            self._merge_moments(other.count, other.mean, other.squared_deviation)
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count

    def _merge_moments(self, count: int, mean: float, squared_deviation: float) -> None:
        total = self.count + count
        step = mean - self.mean
        self.squared_deviation += squared_deviation + step * step * self.count * count / total
        self.mean += step * count / total
        self.count = total

    def minus(self, earlier: Distribution) -> Distribution:
        """What was added since ``earlier``: the step between two points of a CUMULATIVE series."""
        count = self.count - earlier.count
        result = Distribution(self.buckets, count=count)
        result.counts = {
            b: n - earlier.counts.get(b, 0) for b, n in self.counts.items() if n > earlier.counts.get(b, 0)
        }
        if count:
            result.mean = (self.mean * self.count - earlier.mean * earlier.count) / count
            between = (result.mean - earlier.mean) ** 2 * earlier.count * count / self.count
            result.squared_deviation = max(0.0, self.squared_deviation - earlier.squared_deviation - between)
        return result

    def percentile(self, percent: float) -> float:
        """The value below which ``percent`` of the observations lie, linear inside a bucket.

        Nothing is known about the first and the last bucket but one bound each; that bound is the answer there.
        """
        if not self.count:
            return math.nan
        rank, seen = self.count * percent / 100, 0
        bounds = self.buckets.bounds
        for bucket in sorted(self.counts):
            inside = self.counts[bucket]
            if seen + inside >= rank:
                if bucket == 0:
                    return bounds[0]
                if bucket == len(bounds):
                    return bounds[-1]
                low, high = bounds[bucket - 1], bounds[bucket]
                return low + (high - low) * (rank - seen) / inside
            seen += inside
        return bounds[-1]

    @classmethod
    def from_proto(cls, message: Message) -> Distribution:
        """A distribution as a client wrote it."""
        counts = {i: int(n) for i, n in enumerate(message.bucket_counts) if n}
        buckets = Buckets.from_proto(message.bucket_options)
        return cls(buckets, counts, message.count, message.mean, message.sum_of_squared_deviation)

    def to_proto(self) -> Message:
        """The distribution as Google's message; trailing empty buckets are left out, as the message's comment allows."""
        counts = [0] * (max(self.counts, default=-1) + 1)
        for bucket, count in self.counts.items():
            counts[bucket] = count
        return protos.Distribution(
            count=self.count,
            mean=self.mean,
            sum_of_squared_deviation=self.squared_deviation,
            bucket_options=self.buckets.proto,
            bucket_counts=counts,
        )
