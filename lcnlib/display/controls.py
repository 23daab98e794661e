"""One handle of a widget: as an ipywidget, and as HTML for the built book."""

import dataclasses
import html
import json
from collections.abc import Callable, Sequence
from numbers import Integral, Real

__all__ = ["Control"]


@dataclasses.dataclass(frozen=True)
class Control:
    """One handle of `explore`.

    Parameters
    ----------
    label : str
        Its name, as the reader sees and hears it.
    values : sequence
        The values of the precomputed frames.  Numbers make a slider (with a kernel: continuous
        between the least and the largest, in whole steps when all are integers); anything else
        makes buttons or a menu.
    initial : object, optional
        The value to start with, one of `values`; the first one by default.
    format : str or callable, optional
        Format specification, or function from a value to the text shown beside the handle.
    """

    label: str
    values: Sequence
    initial: object = None
    format: str | Callable | None = None

    def __post_init__(self):
        object.__setattr__(self, "values", list(self.values))
        if len(self.values) < 2:
            raise ValueError(f"control {self.label!r} needs at least two values, got {self.values}")
        if self.initial is not None and self.initial not in self.values:
            raise ValueError(f"control {self.label!r}: initial must be one of its values "
                             f"{self.values}, got {self.initial!r}")

    @property
    def start(self):
        """Index of the initial value."""
        return 0 if self.initial is None else self.values.index(self.initial)

    @property
    def numeric(self):
        """Whether the control is a slider."""
        return all(isinstance(v, Real) and not isinstance(v, bool) for v in self.values)

    def text(self, value):
        """The text that shows `value`."""
        if callable(self.format):
            return self.format(value)
        text = format(value, self.format or ("g" if self.numeric else ""))
        return text.replace("-", "\N{MINUS SIGN}") if self.numeric else text

    def widget(self):
        """The ipywidget, whose ``value`` is a value of the control."""
        import ipywidgets as W

        common = {"description": self.label, "style": {"description_width": "initial"}}
        if self.numeric:
            low, high = min(self.values), max(self.values)
            common.update(value=self.values[self.start], min=low, max=high)
            if all(isinstance(v, Integral) for v in self.values):
                return W.IntSlider(**common)
            fmt = self.format if isinstance(self.format, str) else ".3g"
            return W.FloatSlider(step=(high - low) / 200, readout_format=fmt, **common)
        options = [(self.text(v), v) for v in self.values]
        common.update(options=options, value=self.values[self.start])
        return (W.ToggleButtons if len(options) <= 4 else W.Dropdown)(**common)

    def element(self, name):
        """The HTML of the control, whose value is the index of a value; `name` is its id."""
        label, texts = html.escape(self.label), [html.escape(self.text(v)) for v in self.values]
        if self.numeric:
            return (
                f'<div class="lcn-control"><label for="{name}">{label}</label>'
                f'<input type="range" id="{name}" min="0" max="{len(texts) - 1}" '
                f'value="{self.start}" aria-valuetext="{texts[self.start]}" '
                f'data-texts="{html.escape(json.dumps([self.text(v) for v in self.values]))}" '
                f'autocomplete="off"><span aria-hidden="true">{texts[self.start]}</span></div>')
        if len(texts) <= 4:
            choices = "".join(
                f'<label><input type="radio" name="{name}" value="{i}" autocomplete="off"'
                f'{" checked" * (i == self.start)}>{text}</label>' for i, text in enumerate(texts))
            return (f'<fieldset class="lcn-control"><legend><span>{label}</span></legend>'
                    f'{choices}</fieldset>')
        choices = "".join(f'<option value="{i}"{" selected" * (i == self.start)}>{text}</option>'
                          for i, text in enumerate(texts))
        return (f'<div class="lcn-control"><label for="{name}">{label}</label>'
                f'<select id="{name}" autocomplete="off">{choices}</select></div>')
