"""Stand-ins for the widgets of ctk that hold numbers."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, Qt, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSlider, QWidget

from .properties import of_part, parent_of, stored

STEPS = 1000


class ctkDoubleSpinBox(QWidget):
    valueChanged = Signal(float)
    decimalsChanged = Signal(int)
    editingFinished = Signal()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._box = QDoubleSpinBox(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._box)
        self._box.valueChanged.connect(self.valueChanged)
        self._box.editingFinished.connect(self.editingFinished)

    value = of_part(float, "_box", "value", "setValue")
    minimum = of_part(float, "_box", "minimum", "setMinimum")
    maximum = of_part(float, "_box", "maximum", "setMaximum")
    singleStep = of_part(float, "_box", "singleStep", "setSingleStep")
    decimals = of_part(int, "_box", "decimals", "setDecimals")
    prefix = of_part(str, "_box", "prefix", "setPrefix")
    suffix = of_part(str, "_box", "suffix", "setSuffix")
    readOnly = of_part(bool, "_box", "isReadOnly", "setReadOnly")
    cleanText = Property(str, lambda self: self._box.cleanText())

    def setValue(self, value: float) -> None:
        self._box.setValue(value)


class ctkSliderWidget(QWidget):
    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    decimalsChanged = Signal(int)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._slider = QSlider(Qt.Horizontal, self)
        self._slider.setRange(0, STEPS)
        self._box = QDoubleSpinBox(self)
        self._box.setRange(0, 99)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider, 1)
        row.addWidget(self._box)
        self._box.valueChanged.connect(self._on_value)
        self._slider.sliderMoved.connect(self._on_moved)

    def _on_value(self, value: float) -> None:
        low, high = self._box.minimum(), self._box.maximum()
        self._slider.setValue(round(STEPS * (value - low) / (high - low)) if high > low else 0)
        self.valueIsChanging.emit(value)
        self.valueChanged.emit(value)

    def _on_moved(self, position: int) -> None:
        low, high = self._box.minimum(), self._box.maximum()
        self._box.setValue(low + (high - low) * position / STEPS)

    value = of_part(float, "_box", "value", "setValue")
    minimum = of_part(float, "_box", "minimum", "setMinimum")
    maximum = of_part(float, "_box", "maximum", "setMaximum")
    singleStep = of_part(float, "_box", "singleStep", "setSingleStep")
    decimals = of_part(int, "_box", "decimals", "setDecimals")
    prefix = of_part(str, "_box", "prefix", "setPrefix")
    suffix = of_part(str, "_box", "suffix", "setSuffix")
    tracking = stored(bool, "tracking", True)
    pageStep = stored(float, "pageStep", 10.0)
    tickInterval = stored(float, "tickInterval", 0.0)
    popupSlider = stored(bool, "popupSlider", False)
    spinBoxVisible = Property(
        bool,
        lambda self: not self._box.isHidden(),
        lambda self, shown: self._box.setVisible(shown),
    )

    def setValue(self, value: float) -> None:
        self._box.setValue(value)

    def setDecimals(self, decimals: int) -> None:
        self._box.setDecimals(decimals)

    def setSpinBoxVisible(self, shown: bool) -> None:
        self._box.setVisible(shown)

    def reset(self) -> None:
        self._box.setValue(0)


class ctkRangeWidget(QWidget):
    valuesChanged = Signal(float, float)
    minimumValueChanged = Signal(float)
    maximumValueChanged = Signal(float)
    rangeChanged = Signal(float, float)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._low, self._high = QDoubleSpinBox(self), QDoubleSpinBox(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for box in (self._low, self._high):
            box.setRange(0, 99)
            row.addWidget(box, 1)
        self._high.setValue(99)
        self._low.valueChanged.connect(self._on_low)
        self._high.valueChanged.connect(self._on_high)

    def _on_low(self, value: float) -> None:
        if value > self._high.value():
            self._high.setValue(value)
        self.minimumValueChanged.emit(value)
        self.valuesChanged.emit(value, self._high.value())

    def _on_high(self, value: float) -> None:
        if value < self._low.value():
            self._low.setValue(value)
        self.maximumValueChanged.emit(value)
        self.valuesChanged.emit(self._low.value(), value)

    minimumValue = of_part(float, "_low", "value", "setValue")
    maximumValue = of_part(float, "_high", "value", "setValue")
    minimum = Property(
        float, lambda self: self._low.minimum(), lambda self, value: self._both("setMinimum", value)
    )
    maximum = Property(
        float, lambda self: self._low.maximum(), lambda self, value: self._both("setMaximum", value)
    )
    decimals = Property(
        int, lambda self: self._low.decimals(), lambda self, value: self._both("setDecimals", value)
    )
    singleStep = Property(
        float,
        lambda self: self._low.singleStep(),
        lambda self, value: self._both("setSingleStep", value),
    )
    suffix = Property(
        str, lambda self: self._low.suffix(), lambda self, value: self._both("setSuffix", value)
    )
    tracking = stored(bool, "tracking", True)

    def _both(self, setter: str, value: Any) -> None:
        for box in (self._low, self._high):
            getattr(box, setter)(value)

    def setValues(self, low: float, high: float) -> None:
        self._low.setValue(low)
        self._high.setValue(high)

    def setRange(self, minimum: float, maximum: float) -> None:
        self._both("setMinimum", minimum)
        self._both("setMaximum", maximum)
        self.rangeChanged.emit(minimum, maximum)

    def setMinimumValue(self, value: float) -> None:
        self._low.setValue(value)

    def setMaximumValue(self, value: float) -> None:
        self._high.setValue(value)
