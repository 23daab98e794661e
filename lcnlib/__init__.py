"""Linear convolutional networks: their filters, gradient flows and Riemannian metric.

Conventions, stated once:

* Filters are float64 arrays whose last D axes are the filter; any leading axes are batch axes,
  the same for all layers of a network.
* Entry j of a filter is the coefficient of x^j, so that composing layers multiplies
  polynomials.  Layers compute cross-correlations on valid outputs; layer 1 acts first.
* The architecture comes first in every signature.  ``filters`` is a sequence of H arrays;
  ``strides`` has H entries, the last of which matters only to `apply`.
* Every error raised on purpose is an `LCNError`, which is a ``ValueError``.

``S1`` ... ``S15`` number the statements of the book; each function names the one it computes.
"""

from . import (
    architecture,
    branches,
    composition,
    critical,
    curvature,
    errors,
    factorization,
    flow,
    function_space,
    geodesics,
    kernel,
    lifting,
    losses,
    metric,
    scaling,
    warped,
)
from .architecture import *  # noqa: F403
from .branches import *  # noqa: F403
from .composition import *  # noqa: F403
from .critical import *  # noqa: F403
from .curvature import *  # noqa: F403
from .errors import *  # noqa: F403
from .factorization import *  # noqa: F403
from .flow import *  # noqa: F403
from .function_space import *  # noqa: F403
from .geodesics import *  # noqa: F403
from .kernel import *  # noqa: F403
from .lifting import *  # noqa: F403
from .losses import *  # noqa: F403
from .metric import *  # noqa: F403
from .scaling import *  # noqa: F403
from .warped import *  # noqa: F403

__version__ = "0.1.0"

__all__ = [
    name
    for module in (
        architecture,
        composition,
        kernel,
        scaling,
        losses,
        flow,
        factorization,
        lifting,
        branches,
        function_space,
        metric,
        warped,
        curvature,
        geodesics,
        critical,
        errors,
    )
    for name in module.__all__
]
