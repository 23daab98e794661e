"""How exact is exact: the tolerances of factoring and of critical points, each with its reason.

All are relative: to v, to a polynomial or filter of norm one, or to the largest singular value.
"""

# Distance from M that counts as none, by default: far above rounding, in double precision and in
# single, where v is off by 1e-7.
RTOL, RTOL_SINGLE = 1e-10, 1e-5
# A multiplicity counts when v is this near to having it: some roundings of its coefficients.
MERGE = 2e-14
# Next to an answer that is exact up to rounding, others have to be exact to this, too: else they
# are points beside a multiple root, where v hardly moves.
EXACT = 1e-12
# A candidate whose product is off by more than this (or the square root of rtol) is a wrong one:
# Gauss-Newton would carry it to a point beside a multiple root.  Right ones are off by rounding.
NEAR = 0.03
# Entries below this do not decide the sign of a filter: at a multiple root, where filters are
# known to the square root of rounding, they may be zero.
SIGN = 1e-8
# Answers that differ by less than this are one answer, found twice.
SAME = 1e-7
# Residuals below this are rounding: nothing is left to gain but a last step.
ROUNDING = 1e-13
# Singular values below this are directions in which a product does not move at all.
RANK = 1e-13

# In one variable an outer coefficient below this is a root at zero or infinity.  It is rounding:
# a larger one is a root, very small or large, that a layer can have.
OUTER_COEFFICIENT = 1e-15
# In several variables a slab of outer coefficients below this is a factor x_a or one at infinity:
# Ruppert's matrix, whose rank is decided at 1e-12, does not tell it from zero.
OUTER_SLAB = 1e-12
# Roots with multiplicities that are this far from p, before Gauss-Newton, are not tried.
ROUGH = 1e-4
# Slopes at the roots of a line above this are those of single roots; an m-fold one, split by
# eps^(1/m), has eps^(1 - 1/m) or less.  Below it, a common factor with the derivative is sought.
SEPARATED = 1e-6


def rank_tolerances(tol):
    """Singular values that may count as zero when coefficients are good to `tol`.

    Several, because a degree or a nullity that is wrong by rounding must not hide the right
    one; what a wrong one leads to is discarded by its residual.
    """
    return (1e-12, max(1e-7, 100 * tol))


# A complex filter is real when its imaginary part is below the root of this, after the path.
REAL = 1e-12
# A weight with an eigenvalue below this is not positive definite.
DEFINITE = 1e-12
# Half the squared distance below which v is in M, up to rounding.
IN_M = 1e-28
