r"""How far an honest implementation's gradients may be from the reference.

Notation as in `bncheck.bounds` and `bncheck.gradients`: d from above, s = gamma/D, z = d*(x - m), N values in a sum. An
implementation's m is off by dm (`bncheck.bounds`), its 1/D by ``off`` of itself: a divisor pays for epsilon and its sum
(1), a root or an rsqrt of up to 2 ulp (4), and the error rho of its variance::

    off = 1/sqrt(1 - rho) - 1 + 5u/sqrt(1 - rho),     grow = 1 + off

**A sum** of n numbers q is off by at most u times the sizes of its partial sums S_k, in any order. |S_k| is at most
k/n*|S| + sqrt(k(n - k))*sd(q), by Cauchy and Schwarz, so that, as of a mean::

    H(q) = u*( (n/2 + 2)*|sum q| + n*max(3*sqrt(n), 0.4*n)*sd(q) )

**beta**: ``H(d)``. **gamma**: sum d*(x - m)/D, or, as automatic differentiation of ``x*s + (beta - m*s)`` has it,
``(sum d*x - m*sum d)/D``. The second is the larger, without bound where the mean is far from zero: with sd(d*x) <=
sd(z) + |m|*sd(d) it sums with an error H(z) + |m|*H(d), loses a rounding of each d*x, and |m|*H(d) and roundings of
``m*sum d`` again. The first has a rounding of x - m, of each product and of 1/D in its summands. For both::

    E(z)  = H(z) + 4u*sum|z| + |m|*( 2H(d) + 2u*sum|d| + 3u*|sum d| ) + dm*( |sum d| + H(d) )
    gamma = grow*E(z)/D + off*|sum z|/D

**x**, in training: ``s*d - A - (x - m)*P``, with A = sum(s*d)/N and P = w*sum(s*z)/N (w = 1/(v + epsilon)). A product
of three factors, s among them, has a relative error of off and four roundings; A besides that of its sum; P that of w,
which is the square of 1/D, and E(z), since the gradient of gamma is a part of it. m in (x - m)*P is off by dm; and who
differentiates the variance by m, which makes 0, makes ``2*P*dm`` of a wrong m. Three roundings for the sums of the
three::

    dA = ( off*|sum s*d| + grow*( H(s*d) + 4u*sum|s*d| ) )/N
    dP = ( w*( grow^3*E(s*z) + (grow^3 - 1)*|sum s*z| ) )/N
    x  = (off + 8u*grow)*|s*d| + dA + 3u*|A| + |x - m|*( dP + 12u*|P| ) + 3*dm*( |P| + dP )

Where a variance is documented to be E[x^2] - E[x]^2 (``batch_formula="squares"``), its derivative is
2*x*P/2 - 2*m*P/2, which cancels: 8u*|m|*(|P| + dP) more. Where the statistics are constants, as in inference, only the
first term is left, of which automatic differentiation has all roundings.

**16 bits**: arithmetic in float32, each gradient rounded once: ``(1 + uo)*E + uo*|gradient|``, and half the smallest
number. Where scale, shift or statistics are documented to be held in 16 bits (``precision="narrow"``) every rounding
that is not one of a sum counts u + uo, and m is off by 2uo*|m| more. Where sums are as well (``"narrow sums"``) H does
too, and of many values next to nothing is judged.

**Underflow and overflow** as of outputs: an operation may lose the smallest normal number instead of a rounding; where
a power of 1/D, or a sum, exceeds the largest number, nothing is judged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bncheck.bounds import MOST, WEAK, Bounds, Rounding, spoilt
from bncheck.channels import Channels
from bncheck.doubledouble import Array, DoubleDouble, Plain
from bncheck.gradients import Gradients, Sums
from bncheck.reference import Reference


@dataclass(frozen=True, eq=False)
class GradientBounds:
    """What gradients may be off by: x's by ``of_product*|scale*d| + of_x*|x - m| + floor + result*|gradient|`` in each
    cell, those of ``gamma`` and ``beta`` absolutely.

    ``weak``: whether the bound of some channel is so wide that it judges little.
    """

    of_product: Array
    of_x: Array
    floor: Array
    result: float
    gamma: Array
    beta: Array
    weak: bool


def gradient_bounds(gradients: Gradients, reference: Reference, bounds: Bounds) -> GradientBounds:
    """Of gradients under a reading, whose reference and bounds these are."""
    with np.errstate(all="ignore"):
        return _Bounded(gradients, reference, bounds).found()


class _Bounded:
    def __init__(self, gradients: Gradients, reference: Reference, bounds: Bounds) -> None:
        self._gradients, self._bounds = gradients, bounds
        self._rounding = bounds.rounding
        cells, applied = gradients.cells, gradients.applied
        used, batch, steps = reference.used
        errors = bounds.batch(used) if batch else bounds.left(used, steps)
        home = reference.channels if batch else reference.along
        self._each = self._rounding.arithmetic + (self._rounding.result if bounds.narrow else 0.0)
        self._summing = self._each if reference.semantics.precision == "narrow sums" else self._rounding.arithmetic
        held = 2 * self._rounding.result * np.abs(applied.mean.hi) if bounds.narrow else 0.0
        self._mean = home.laid(errors.mean, cells) + held
        off = home.laid(errors.variance, cells)
        self._rho, self._impossible = spoilt(applied, off, self._rounding, bounds.narrow)
        grown = 1 / np.sqrt(1 - self._rho)
        self._off = grown - 1 + 5 * self._each * grown
        self._grow = 1 + self._off

    def found(self) -> GradientBounds:
        gradients, rounding, stored = self._gradients, self._rounding, self._bounds.stored
        applied, along, cells = gradients.applied, gradients.along, gradients.cells
        inverse = Plain.of(1 / applied.divisor.hi)
        gamma = self._of_products(gradients.products, gradients.upstream, inverse, along)
        beta = self._summed(gradients.upstream.over(along)) + self._narrowed(gradients.upstream.over(along))
        if gradients.semantics.backward_slip == "averaged":
            gamma, beta = gamma / along.values, beta / along.values
        if (gradients.semantics.exchange == "gamma and beta") != (gradients.semantics.backward_slip == "exchanged"):
            gamma, beta = beta, gamma
        gamma, beta = (
            self._stored(error, value.hi, stored) for error, value in ((gamma, gradients.gamma), (beta, gradients.beta))
        )
        scale, each = np.abs(gradients.scale.hi), self._each
        of_product = self._off + 8 * each * self._grow
        of_x, floor = np.zeros(cells.count), rounding.flushed * (2 * scale + 4)
        through = np.zeros(cells.count)  # relative to what comes from above
        if gradients.mean_lost is not None:
            lost = np.abs(gradients.mean_lost.hi)
            error = self._of_mean()
            floor = floor + error + 3 * each * lost
            through = through + error
        if gradients.variance_lost is not None:
            lost = np.abs(gradients.variance_lost.hi)
            error = self._of_variance()
            of_x = of_x + error + 12 * each * lost
            floor = floor + 3 * self._mean * (lost + error)
            if gradients.semantics.batch_formula == "squares":
                floor = floor + 8 * each * np.abs(applied.mean.hi) * (lost + error)
            through = through + error * np.sqrt(np.maximum(applied.variance.hi, 0.0))
        unjudged = (self._rho >= MOST) | ~(np.isfinite(floor + of_x + of_product) | self._impossible)
        cubed = np.maximum(np.abs(applied.gamma.hi), 1.0) / np.abs(applied.divisor.hi) ** 3
        unjudged |= (cubed > self._bounds.largest) & (gradients.weight.hi != 0)
        floor = np.where(unjudged, np.inf, floor)
        typical = np.sqrt(gradients.upstream.squares / max(gradients.upstream.values, 1)) * scale
        weak = bool(np.any(self._rho > WEAK) or np.any(through > WEAK * typical))
        grown = 1 + rounding.result
        return GradientBounds(
            grown * of_product, grown * of_x, grown * floor + rounding.spacing, rounding.result, gamma, beta, weak
        )

    def _stored(self, error: Array, value: Array, stored: Rounding) -> Array:
        bound = (1 + stored.result) * error + stored.result * np.abs(value) + stored.spacing
        return np.where(np.isfinite(bound), bound, np.inf)

    def _summed(self, of: Sums) -> Array:
        """H, of one of whose sums this is; and what may underflow."""
        values = of.values
        n = min(values, self._bounds.most_summed or values)
        total = np.abs(of.total.hi)
        deviation = np.sqrt(np.maximum(of.squares / max(values, 1) - (total / max(values, 1)) ** 2, 0.0))
        walk = values * max(3 * n**0.5, 0.4 * n) * deviation
        error: Array = self._summing * ((n / 2 + 2) * total + walk) + values * self._rounding.flushed
        return np.where(of.sizes > self._bounds.largest, np.inf, error)

    def _narrowed(self, of: Sums) -> Array:
        """What storing summands and sums in 16 bits adds, where that is documented."""
        return self._rounding.result * (of.sizes + np.abs(of.total.hi)) if self._bounds.narrow else np.zeros(1)

    def _of_products(self, z: Sums, d: Sums, factor: DoubleDouble, channels: Channels) -> Array:
        """Of ``sum(z*factor)`` over the values of each of ``channels``, where the factor is one of 1/D."""
        mean, each = np.abs(self._gradients.applied.mean.hi), self._each
        size = np.abs(factor.hi)
        products = z.times(factor).over(channels)
        off_mean = d.times(Plain.of(size * mean)).over(channels)
        worst = self._over(self._grow, channels, np.maximum)
        alone = self._over(self._mean * size * (np.abs(d.total.hi) + self._summed(d)), channels)
        inside = self._summed(products) + 4 * each * products.sizes + alone + self._narrowed(products)
        apart = 2 * self._summed(off_mean) + 2 * each * off_mean.sizes + 3 * each * np.abs(off_mean.total.hi)
        relative = self._over(self._off * size * np.abs(z.total.hi), channels)
        flushed = self._over(self._rounding.flushed * (d.sizes + z.values) * size, channels)
        # d*x, and sums of it, before they are multiplied by anything
        expanded = self._over(np.abs(mean) * d.sizes + z.sizes, channels)
        bound: Array = np.where(expanded > self._bounds.largest, np.inf, worst * (inside + apart + flushed) + relative)
        return np.where(self._over(self._rho, channels, np.maximum) >= MOST, np.inf, bound)

    def _of_mean(self) -> Array:
        """dA, of each cell."""
        gradients = self._gradients
        channels, scale = gradients.statistics, gradients.scale
        product = gradients.upstream.times(scale)
        sums = product.over(channels)
        worst = self._over(self._grow, channels, np.maximum)
        inside = self._summed(sums) + 4 * self._each * sums.sizes + self._narrowed(sums)
        error = worst * inside + self._over(self._off * np.abs(product.total.hi), channels)
        return channels.laid(error / self._divided(), gradients.cells)

    def _of_variance(self) -> Array:
        """dP, of each cell."""
        gradients = self._gradients
        channels, scale = gradients.statistics, gradients.scale
        error = self._of_products(gradients.products, gradients.upstream, scale, channels)
        total = np.abs(gradients.products.times(scale).over(channels).total.hi)
        flushed = self._rounding.flushed * np.maximum(np.abs(gradients.applied.gamma.hi), 1) * gradients.products.sizes
        cubed = self._grow**3
        laid = [channels.laid(part / self._divided(), gradients.cells) for part in (error, total)]
        bound: Array = np.abs(gradients.weight.hi) * (cubed * laid[0] + (cubed - 1) * laid[1])
        bound += channels.laid(self._over(flushed, channels) / self._divided(), gradients.cells)
        return bound

    def _divided(self) -> float:
        slips = self._gradients.semantics.backward_slip == "count"
        return 1.0 if slips else float(max(self._gradients.statistics.values, 1))

    def _over(self, of_cells: Array, channels: Channels, put_together: np.ufunc = np.add) -> Array:
        """A number for each cell, flat, as one for each channel that keeps fewer axes: their sum, or the largest."""
        cells = self._gradients.cells
        if channels == cells:
            return of_cells
        lengths = [cells.shape[axis] for axis in cells.kept]
        others = tuple(i for i, axis in enumerate(cells.kept) if axis not in channels.kept)
        together = np.asarray(put_together.reduce(of_cells.reshape(lengths), axis=others), dtype=np.float64)
        return together.reshape(-1)
