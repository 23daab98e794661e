r"""Evaluates the TeX of the book's formulas: the subset that they use, with numbers or arrays.

Vectors are matrices with one column, so that juxtaposition is the product.  A symbol's value comes
from a dictionary under its TeX: ``"\\delta"``, ``"\\dot t"``, ``"v^*"``, ``"w"``; subscripts are
looked up with their text (``"p_v"``), else as an index or key of the symbol without them.
"""

import math
import re

import numpy as np
from scipy.integrate import quad

TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|[^\s]")
SPACE = {r"\,", r"\;", r"\!", r"\:", r"\ ", r"\quad", r"\qquad", r"\big", r"\Big", r"\bigl",
         r"\bigr", r"\left", r"\right", r"\textstyle", r"\displaystyle", r"\Bigl", r"\Bigr"}
ACCENTS = {r"\dot", r"\ddot", r"\tilde", r"\hat", r"\dd", r"\nabla", r"\overline"}
FUNCTIONS = {r"\log": np.log, r"\cos": np.cos, r"\sin": np.sin, r"\exp": np.exp}
RELATIONS = {"=", r"\le", r"\ge", "<", ">"}
CLOSERS = {")", "]", "}", ",", "&", r"\\", ".", ";", r"\}", r"\end"}


def tokens(text):
    text = re.sub(r"\\(begin|end)\{(aligned|gathered)\}", "", text)
    out, matrix = [], 0
    for t in TOKEN.findall(text.replace("\n", " ")):
        matrix += (t == r"\begin") - (t == r"\end")
        if t not in SPACE and (matrix or t not in ("&", r"\\")):
            out.append({r"\tfrac": r"\frac", r"\dfrac": r"\frac"}.get(t, t))
    return re.sub(r"(?<=\s)\{ \}", "", " ".join(out)).split()


def is_matrix(x):
    return isinstance(x, np.ndarray) and x.ndim == 2


def times(a, b):
    if callable(a):
        return a(b)
    if is_matrix(a) and is_matrix(b):
        return scalar(a @ b)
    return a * b


def scalar(x):
    return float(x[0, 0]) if is_matrix(x) and x.shape == (1, 1) else x


def power(x, n):
    if not is_matrix(x):
        return x**n
    if n == round(n):
        return np.linalg.matrix_power(x, round(n))
    values, u = np.linalg.eigh(x)
    return (u * np.maximum(values, 0) ** n) @ u.T


class Parser:
    """Recursive descent; every node is a function of the dictionary of symbols."""

    def __init__(self, t, functions=()):
        self.t, self.i, self.functions = t, 0, functions

    def peek(self, ahead=0):
        return self.t[self.i + ahead] if self.i + ahead < len(self.t) else None

    def take(self, want=None):
        got = self.peek()
        if got is None or want not in (None, got):
            raise SyntaxError(f"expected {want or 'more'}, got {got} after {self.t[:self.i][-9:]}")
        self.i += 1
        return got

    def whole(self):
        node = self.expression()
        if self.peek() is not None:
            raise SyntaxError(f"what is {' '.join(self.t[self.i:])}?")
        return node

    def expression(self):
        parts = []
        while True:
            sign = 1
            while self.peek() in ("+", "-"):
                sign = -sign if self.take() == "-" else sign
            parts.append((sign, self.term()))
            if self.peek() not in ("+", "-"):
                break

        def value(env):
            out = None
            for s, node in parts:
                x = node(env) if s > 0 else -node(env)
                if is_matrix(x) != is_matrix(out) and out is not None:
                    raise TypeError("a matrix and a number cannot be added")
                out = x if out is None else out + x
            return out

        return value

    def term(self):
        factors = []
        while (t := self.peek()) is not None and t not in CLOSERS | RELATIONS and t not in "+-":
            if t in (r"\cdot", r"\times"):
                self.take()
            elif t == "/":
                self.take()
                below = self.factor()
                factors.append(lambda env, f=below: 1 / f(env))
            elif t in (r"\sum", r"\prod"):
                factors.append(self.loop())
            elif t == r"\int":
                factors.append(self.integral())
            elif t in FUNCTIONS:
                factors.append(self.function())
            else:
                factors.append(self.factor())
        if not factors:
            raise SyntaxError(f"nothing before {self.peek()}")

        def value(env):
            out = factors[0](env)
            for f in factors[1:]:
                out = times(out, f(env))
            return out

        return value

    def group(self):
        """{...}, or one token, as TeX reads an argument."""
        if self.peek() == "{":
            self.take()
            node = self.expression()
            self.take("}")
            return node
        return self.atom(single=True)

    def raw(self):
        """The text of {...} or of one token."""
        if self.peek() != "{":
            return self.take()
        depth, start = 0, self.i
        while True:
            t = self.take()
            depth += (t == "{") - (t == "}")
            if not depth:
                return "".join(self.t[start + 1:self.i - 1])

    def loop(self):
        kind = self.take()
        index, low, high = None, None, None
        while self.peek() in ("_", "^"):
            if self.take() == "_":
                text = self.raw()
                index, _, low = text.partition("=")
            else:
                high = self.raw()
        body = self.term()
        # A next term that still speaks of the index belongs to the sum, too.
        while self.peek() in ("+", "-") and self.speaks_of(index):
            sign, first, rest = self.take(), body, self.term()
            body = (lambda f, g, s: lambda env: f(env) + g(env) * (-1 if s == "-" else 1))(
                first, rest, sign)

        def value(env):
            out = None
            for values in ranges(env, index, low, high):
                x = body(env | values)
                out = x if out is None else out + x if kind == r"\sum" else out * x
            return (0 if kind == r"\sum" else 1) if out is None else out

        return value

    def speaks_of(self, index):
        rest = self.t[self.i + 1:]
        end = next((n for n, t in enumerate(rest) if t in ("+", "-", r"\sum")), len(rest))
        return any(rest[n:n + 2] == ["_", index] for n in range(end))

    def integral(self):
        self.take()
        ends = {}
        while self.peek() in ("_", "^"):
            which = self.take()
            ends[which] = self.group()
        start = self.i
        stop = next(j for j in range(start, len(self.t)) if self.t[j] == r"\dd")
        name, rest = self.t[stop + 1], self.t[stop + 2:]
        body = Parser(self.t[start:stop], self.functions).whole()
        self.t, self.i = self.t[:stop] + rest, stop

        def value(env):
            a, b = ends["_"](env), ends["^"](env)
            # x = a + (b - a) y^2: the integrands grow like a root at the lower end.
            return quad(lambda y: 2 * (b - a) * y * float(body(env | {name: a + (b - a) * y * y})),
                        0, 1, epsabs=0, epsrel=1e-10)[0]

        return value

    def function(self):
        f = FUNCTIONS[self.take()]
        exponent = None
        if self.peek() == "^":
            self.take()
            exponent = self.group()
        if self.peek() == "(":
            body = self.atom()
        else:
            parts = [self.factor()]
            plain = re.compile(r"[0-9a-zA-Z]|\\(dot|varphi|Psi|frac)$")
            while (t := self.peek()) is not None and plain.match(t):
                parts.append(self.factor())

            def body(env):
                return math.prod(p(env) for p in parts)

        return lambda env: f(body(env)) ** (exponent(env) if exponent else 1)

    def factor(self):
        node = self.atom()
        while (t := self.peek()) in ("^", "!", "[", r"\T") or (
                t == "_" and self.peek(1) == "+"):
            self.take()
            if t == "^":
                node = self.exponent(node)
            elif t == "_":  # (x)_+
                self.take()
                node = (lambda n: lambda env: np.maximum(n(env), 0))(node)
            elif t == "!":
                node = (lambda n: lambda env: math.factorial(round(n(env))))(node)
            elif t == r"\T":
                node = (lambda n: lambda env: n(env).T)(node)
            else:
                node = self.bracket(node)
        return node

    def exponent(self, node):
        start = self.i
        text = self.raw()
        if text in ("+", r"-\mathsfT", r"\mathsfT"):
            def value(env):
                x = node(env)
                return np.linalg.pinv(x) if text == "+" else (
                    np.linalg.inv(x) if text[0] == "-" else x).T
            return value
        self.i = start
        n = self.group()
        return lambda env: power(node(env), n(env))

    def bracket(self, node):
        """w[j], K[m,n]: entries, zero outside; 1[a > 0]: one where that holds."""
        inside = [self.expression()]
        if self.peek() == ">":
            self.take()
            bound = self.expression()
            self.take("]")
            return lambda env: node(env) * (inside[0](env) > bound(env))
        while self.peek() == ",":
            self.take()
            inside.append(self.expression())
        self.take("]")

        def value(env):
            at, array = [round(x(env)) for x in inside], np.asarray(node(env))
            array = array[:, 0] if len(at) == 1 and array.ndim == 2 else array
            good = len(at) == array.ndim and all(0 <= n < m for n, m in zip(at, array.shape))
            return array[tuple(at)] if good else 0.0

        return value

    def atom(self, single=False):
        t = self.take()
        if t.isdigit():
            while not single and (n := self.peek()) is not None and n.isdigit():
                t += self.take()
            return lambda env: int(t)
        if t in ("(", "{"):
            parts = [self.expression()]
            while self.peek() == ",":
                self.take()
                parts.append(self.expression())
            self.take({"(": ")", "{": "}"}[t])
            return parts[0] if len(parts) == 1 else lambda env: [p(env) for p in parts]
        if t == r"\frac":
            above, below = self.group(), self.group()
            return lambda env: above(env) / below(env)
        if t == r"\sqrt":
            body = self.group()
            return lambda env: np.sqrt(body(env))
        if t in (r"\norm", r"\abs"):
            body = self.group()
            return lambda env: float(np.linalg.norm(body(env)))
        if t == r"\inner":
            a, b = self.group(), self.group()
            return lambda env: float(np.vdot(a(env), b(env)))
        if t == r"\begin":
            return self.matrix()
        if t in (r"\operatorname", r"\text"):
            return self.symbol(self.raw(), single)
        if t in CLOSERS | RELATIONS:
            raise SyntaxError(f"did not expect {t}")
        return self.symbol(t, single)

    def matrix(self):
        self.raw()
        rows = [[self.expression()]]
        while (t := self.take()) != r"\end":
            rows.append([self.expression()]) if t == r"\\" else rows[-1].append(self.expression())
        self.raw()
        return lambda env: np.block([[np.atleast_2d(x(env)) for x in row] for row in rows])

    def symbol(self, name, single):
        while name.split(" ")[-1] in ACCENTS:
            name += " " + (self.raw() if self.peek() == "{" else self.take())
        while not single and self.peek() == "'":
            name += self.take()
        sub, indices = "", []
        if not single and self.peek() == "_" and self.peek(1) != "+":
            self.take()
            start = self.i
            sub = "_" + self.raw()
            end, self.i = self.i, start
            brace = self.peek() == "{"
            self.i += brace
            try:
                indices = [self.expression() if brace else self.atom(single=True)]
                while brace and self.peek() == ",":
                    self.take()
                    indices.append(self.expression())
            except SyntaxError:  # no list of indices
                indices = None
            self.i = end
        raised = ""
        if not single and self.peek() == "^":
            start = self.i
            self.take()
            raised, after = "^" + self.raw(), self.i
            if raised in ("^*", "^{*}") or (raised == "^+" and name == "w"):
                self.i = after
            else:
                raised, self.i = "", start
        call = None
        if not single and self.peek() == "(" and {name, name + sub} & set(self.functions):
            call = self.atom()

        def value(env):
            if name + sub + raised in env:
                return env[name + sub + raised]
            # "S_" is what S_i are entries of, where S alone is something else.
            x = env[name + "_" if sub and name + "_" in env else name + raised]
            if sub:
                at = [n(env) for n in indices]
                x = x[tuple(round(n) for n in at) if len(at) > 1 else round(at[0])]
            return x

        if call is None:
            return value

        def applied(env):
            f, x = value(env), call(env)
            return f(*x) if isinstance(x, list) else f(x)

        return applied


def ranges(env, index, low, high):
    """The values of the index of a sum: i=1..H, or those in ``env["ranges"]``."""
    if low:
        a, b = (Parser(tokens(x)).whole()(env) for x in (low, high))
        yield from ({index: n} for n in range(round(a), round(b) + 1))
    else:
        names = index.split(",")
        yield from (dict(zip(names, values, strict=True)) if len(names) > 1 else {index: values}
                    for values in env["ranges"][index])


def sides(text):
    """The tokens of each side of an equation, without the mark at its end."""
    out, depth = [[]], 0
    for t in tokens(text):
        depth += (t in "([{") - (t in ")]}")
        if t in RELATIONS and not depth:
            out.append([])
        else:
            out[-1].append(t)
    while out[-1] and out[-1][-1] in (".", ",", ";"):
        out[-1].pop()
    return out


def is_function(x):
    return callable(next(iter(x.values()), None) if isinstance(x, dict) else x)


def holds(text, env, rtol=1e-9):
    """Whether all sides of the equation are equal; a side whose TeX is a key has its value."""
    known = {"".join(tokens(k)): v for k, v in env.items()}
    functions = {k for k, v in env.items() if is_function(v)}
    values = []
    for side in sides(text):
        name = "".join(side)
        x = known[name] if name in known else Parser(side, functions).whole()(env)
        values.append(np.asarray(x, dtype=float))
    if len(values) < 2:
        raise SyntaxError("no equation")
    size = np.abs(values[0]).max()
    return all(x.shape == values[0].shape and np.abs(x - values[0]).max() <= rtol * size
               for x in values[1:])


def changes(text):
    """The formula with one sign, digit, factor or function changed."""
    for m in re.finditer(r"[+-]", text):
        yield text[:m.start()] + "+-"[m.group() == "+"] + text[m.end():]
    for m in re.finditer(r"\d", text):
        yield text[:m.start()] + str((int(m.group()) + 1) % 10) + text[m.end():]
    for m in re.finditer(r"=(?![^{]*\})", text):
        for extra in (" 2 ", " - "):
            yield text[:m.end()] + extra + text[m.end():]
