"""Linear convolutional networks: their filters, gradient flows and Riemannian metric.

Conventions, stated once:

* Filters are float64 arrays whose last D axes are the filter; any leading axes are batch axes,
  the same for all layers of a network.
* Entry j of a filter is the coefficient of x^j, so that composing layers multiplies
  polynomials.  Layers compute cross-correlations on valid outputs; layer 1 acts first.
* The architecture comes first in every signature.  ``filters`` is a sequence of H arrays;
  ``strides`` has H entries, the last of which matters only to `apply`.
* Every error raised on purpose is an `LCNError`, which is a ``ValueError``.

* Networks have one channel in and one out.  Weights of shape (out, in, k) would be taken for a
  batch of filters.

A function names the statements that it computes by their labels in the book: ``Book: ...``.
Every function raises `InputError` when an argument has a wrong shape, type or a non-finite entry,
and when the result leaves double precision; its own docstring tells what else it raises.
"""

# Named one by one, in the order of the book.  Two modules share the name of their
# function; the function is what `lcnlib.invariants` and `lcnlib.function_space_flow` mean.
from . import fully_connected, shallow_relu
from .conservation import ConservationLaws, conserved_laws
from .convolution import apply, cofactors, end_to_end
from .critical import CriticalPoints, critical_points, ed_degree
from .curvature import CoordinateCurvatures, coordinate_curvatures, sectional_curvature
from .descent import gradient_descent
from .distances import distance, log_map
from .ensemble import EnsembleResult, Failure, Seeds, ensemble
from .errors import (
    AmbiguousFactorizationError,
    ArchitectureError,
    FlowError,
    InputError,
    LCNError,
    NotInFunctionSpaceError,
    NotTangentError,
    SingularPointError,
    ZeroFilterError,
)
from .factorization import factorizations, polyphase
from .flow import gradient_flow
from .function_space_flow import function_space_flow
from .geodesics import geodesic, geodesic_filters, parallel_transport
from .invariants import invariants, rescale, scalings
from .kernel import jacobian, jvp, ntk, ntk_apply, rank, vjp
from .kernel_counts import generic_kernel_count, kernel_count, root_groups
from .lifting import lift
from .losses import Loss, QuadraticLoss
from .metric import horizontal_lift, inner, riemannian_gradient, tangent_basis
from .network import LCN, random_filters
from .projection import Projection, project
from .record import FlowResult
from .torch_bridge import from_torch
from .warped import (
    WarpedPoint,
    distance_to_zero,
    from_warped_coordinates,
    warped_coordinates,
    warped_velocity,
)

__version__ = "0.1.0"

__all__ = [
    # Filters are polynomials
    "LCN", "random_filters", "apply", "end_to_end", "cofactors",
    # Gradient flow and what it conserves
    "QuadraticLoss", "Loss", "gradient_flow", "FlowResult", "invariants", "rescale", "scalings",
    # From parameters to functions: the kernel
    "jacobian", "jvp", "vjp", "ntk", "ntk_apply", "rank",
    # One function, one kernel
    "polyphase", "factorizations", "lift", "project", "Projection",
    # The Riemannian gradient flow
    "function_space_flow", "inner", "riemannian_gradient", "tangent_basis", "horizontal_lift",
    # Stride one; two dimensions
    "kernel_count", "generic_kernel_count", "root_groups",
    # The metric in closed form
    "WarpedPoint", "warped_coordinates", "from_warped_coordinates", "warped_velocity",
    "distance_to_zero", "CoordinateCurvatures", "coordinate_curvatures", "sectional_curvature",
    "geodesic", "geodesic_filters", "distance", "log_map", "parallel_transport",
    # Singular and critical points
    "CriticalPoints", "critical_points", "ed_degree",
    # Where it ends, and how fast
    "gradient_descent", "ensemble", "EnsembleResult", "Failure", "Seeds",
    # Contrasts, conservation laws without theory, networks from elsewhere
    "fully_connected", "shallow_relu", "conserved_laws", "ConservationLaws", "from_torch",
    # What can go wrong
    "LCNError", "ArchitectureError", "InputError", "ZeroFilterError", "NotInFunctionSpaceError",
    "AmbiguousFactorizationError", "NotTangentError", "SingularPointError", "FlowError",
]  # fmt: skip
