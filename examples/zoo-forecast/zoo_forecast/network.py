"""The network around a model that forecasts."""

from __future__ import annotations

from torch import Tensor, nn

from zoo.interfaces import BuildModel, State
from zoo.nn import gather_last, read_out
from zoo_forecast.options import ForecastOptions


class Forecaster(nn.Module):
    """Differences from the last value -> model -> readout -> hidden layers -> Linear.

    Args:
        build_model: Builds the model.
        options: The task's options.
        num_columns: F, columns of the series.
    """

    def __init__(self, build_model: BuildModel, options: ForecastOptions, num_columns: int) -> None:
        super().__init__()
        self.options = options
        self.rnn = build_model(num_columns)
        layers: list[nn.Module] = []
        size = self.rnn.output_size
        for hidden in options.head_sizes:
            layers += [nn.Linear(size, hidden), nn.ReLU(), nn.Dropout(options.dropout)]
            size = hidden
        self.hidden = nn.Sequential(*layers)
        self.fc = nn.Linear(size, options.horizon * num_columns)

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        """Return forecasts (B, H, F) of standardized steps (B, T, F), and the model's state.

        The model reads and the network computes differences from the last value, so that a level
        that was not in the training data is continued (as in NLinear: A. Zeng et al.,
        arXiv:2205.13504, section 3).
        """
        clip, last = self.options.clip, gather_last(inputs, lengths)[:, None]
        differences = inputs - last
        if clip is not None:
            differences = differences.clamp(-clip, clip)
        outputs, state = self.rnn(differences, lengths)
        changes = self.fc(self.hidden(read_out(self.rnn, outputs, lengths, state)))
        return last + changes.view(len(inputs), self.options.horizon, -1), state
