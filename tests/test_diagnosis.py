"""Norms of gradients equal products of Jacobians; the command prints and draws them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run

import zoo
from zoo_diagnose.gradients import gradient_sizes

STEPS = 12


def test_norms_are_those_of_the_product_of_jacobians() -> None:
    torch.manual_seed(0)
    network = zoo.create_model("rnn", 3, hidden_size=4).double()
    sizes = gradient_sizes(network, STEPS, causal=True, rows=1, seed=5)
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randn(1, STEPS, 3, generator=generator).double().numpy()[0]
    gradient = torch.randn(4, generator=generator).double().numpy()
    w_ih, w_hh, b_ih, b_hh = (p.detach().numpy() for p in network.parameters())
    states = [np.zeros(4)]
    for x in inputs:
        states.append(np.tanh(w_ih @ x + b_ih + w_hh @ states[-1] + b_hh))
    expected = [np.linalg.norm(gradient)]
    for state in reversed(states[2:]):
        # Pascanu et al. (2012), equation 5: dh_t / dh_{t-1} = diag(1 - h_t^2) W_hh.
        gradient = (gradient * (1 - state**2)) @ w_hh
        expected.append(np.linalg.norm(gradient))
    np.testing.assert_allclose(sizes, expected, rtol=1e-6)


@pytest.mark.parametrize(("factor", "grows"), [(0.5, False), (2.0, True)])
def test_gradients_vanish_with_a_small_recurrent_weight_and_explode_with_a_large_one(
    factor: float, grows: bool
) -> None:
    network = zoo.create_model("rnn", 3, hidden_size=4)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.get_parameter("weight_hh_l0").copy_(torch.eye(4) * factor)
    sizes = gradient_sizes(network, STEPS, causal=True)
    np.testing.assert_allclose(sizes[-1] / sizes[0], factor ** (STEPS - 1), rtol=1e-4)
    assert (sizes[-1] > sizes[0]) == grows


def test_the_command_measures_and_draws(
    zoo_command: Run, char_lm_run: Path, tmp_path: Path
) -> None:
    pictures = [tmp_path / "sizes.png", tmp_path / "sizes.svg"]
    for picture in pictures:
        done = zoo_command(
            "diagnose", "gradients", "rnn", "gru", "bilstm", char_lm_run, "--steps", 20,
            "--plot", picture, "--json",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    curves = json.loads(done.stdout)
    assert list(curves) == ["rnn", "gru", "bilstm", str(char_lm_run)]
    assert all(len(sizes) == 20 for sizes in curves.values())
    assert pictures[0].read_bytes().startswith(b"\x89PNG")
    assert "rnn" in pictures[1].read_text(encoding="utf-8")


def test_what_is_neither_a_model_nor_weights(zoo_here: Run) -> None:
    done = zoo_here("diagnose", "gradients", "rnn", "lsmt")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("error: no weights 'lsmt'")


def test_a_picture_of_an_unknown_kind(zoo_here: Run, tmp_path: Path) -> None:
    done = zoo_here("diagnose", "gradients", "rnn", "--steps", 3, "--plot", tmp_path / "x.docx")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: cannot draw in {tmp_path / 'x.docx'}" in done.stderr
