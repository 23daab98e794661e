"""Exceptions: each names one mathematical situation; all of them are ``ValueError``."""


class LCNError(ValueError):
    """Base class of every error that `lcnlib` raises on purpose."""


class ArchitectureError(LCNError):
    """Filter shapes and strides do not describe a linear convolutional network."""


class InputError(LCNError):
    """An argument has the wrong shape, count, type or a non-finite entry."""


class ZeroFilterError(LCNError):
    """A filter is zero where a statement needs every filter to be non-zero."""


class NotInFunctionSpaceError(LCNError):
    """An end-to-end filter is not one that the network can express."""


class AmbiguousFactorizationError(LCNError):
    """Several factorisations carry different kernels and no guess picks one.

    Attributes
    ----------
    branches : list of list of ndarray
        The factorisations among which a guess has to choose.
    """

    def __init__(self, message, branches=()):
        super().__init__(message)
        self.branches = list(branches)


class NotTangentError(LCNError):
    """A vector does not lie in the tangent space of the neuromanifold."""


class SingularPointError(LCNError):
    """The differential of the parametrisation drops rank at this point."""


class FlowError(LCNError):
    """A flow cannot be continued.

    Attributes
    ----------
    time : float
        The last time up to which the flow is known to be good.
    """

    def __init__(self, message, time=float("nan")):
        super().__init__(message)
        self.time = float(time)
