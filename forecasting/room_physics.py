"""Rooms as one or two heat capacities, with a slow disturbance that nobody measures.

In kelvin and hours: heat is divided by the room's whole loss ``U``, so that it is the kelvin it would warm
the room by in the end. With ``q`` the heat of people, machines, sun and air conditioner, and ``d`` what none
of them explains::

    1R1C   tau dT/dt   = T_out - T + q + d
    2R2C   tau_a dT/dt = k (T_m - T) + w (T_out - T) + q + d
           tau_m dT_m/dt = k (T - T_m) + m (T_out - T_m) + q_m,   w + k m / (k + m) = 1
           dd/dt = -d / tau_d + noise

The form and its estimation by one-step errors follow Bacher and Madsen [1]_.

References
----------
.. [1] P. Bacher, H. Madsen: Identifying suitable models for the heat dynamics of buildings. Energy and
   Buildings 43 (2011) 1511-1522.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.linalg import expm, solve_discrete_are
from scipy.signal import lfilter

from energy.core.series import FloatArray

__all__ = ["Kind", "Observer", "RoomPhysics"]

Kind = Literal["1R1C", "2R2C"]
NOT_DEFECTIVE: Final = 1e-9  # eigenvalues are kept that far apart


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPhysics:
    """Time constants and couplings of a room.

    Parameters
    ----------
    air_h : float
        ``tau`` of the only capacity, ``tau_a`` of the air where there are two. [h]
    mass_h : float
        ``tau_m``; 0 where there is one capacity. [h]
    coupling : float
        ``k``: conductance between air and mass over the whole loss. [-]
    direct : float
        ``w``: share of the loss that leaves the air directly. [-]
    heat_noise, disturbance : float
        Strength of the white noise on the heat, and standard deviation of ``d``, both over the standard
        deviation of the sensor's noise. [sqrt(h)], [-]
    disturbance_h : float
        ``tau_d``. [h]
    """

    kind: Kind
    air_h: float
    mass_h: float = 0.0
    coupling: float = 0.0
    direct: float = 1.0
    heat_noise: float
    disturbance: float
    disturbance_h: float

    def rates(self) -> tuple[FloatArray, FloatArray]:
        """``A`` and ``B`` of ``dx/dt = A x + B u``: x = T, (T_m), d; u = T_out, heat in air, heat in mass."""
        fade = -1.0 / self.disturbance_h
        if self.kind == "1R1C":
            a = np.array([[-1.0, 1.0], [0.0, fade * self.air_h]]) / self.air_h
            b = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]) / self.air_h
            return a, b
        k, w = self.coupling, self.direct
        m = k * (1.0 - w) / (k - (1.0 - w))
        a = np.array(
            [
                [-(k + w) / self.air_h, k / self.air_h, 1.0 / self.air_h],
                [k / self.mass_h, -(k + m) / self.mass_h, 0.0],
                [0.0, 0.0, fade],
            ]
        )
        b = np.array([[w / self.air_h, 1.0 / self.air_h, 0.0], [m / self.mass_h, 0.0, 1.0 / self.mass_h]])
        return a, np.vstack([b, np.zeros((1, 3))])

    @property
    def time_constants_h(self) -> tuple[float, ...]:
        """Of the room without its disturbance, the slowest first. [h]"""
        room = self.rates()[0][:-1, :-1]
        return tuple(sorted((-1.0 / float(value.real) for value in np.linalg.eigvals(room)), reverse=True))

    def observer(self, step_h: float) -> Observer:
        """The best one-step predictor under the noise of this room, exact over steps of constant inputs."""
        a, b = self.rates()
        n = len(a)
        both = expm(np.block([[a, b], [np.zeros((3, n + 3))]]) * step_h)
        spread = np.zeros((n, n))
        spread[0, 0] = (self.heat_noise / self.air_h) ** 2
        spread[-1, -1] = 2.0 * self.disturbance**2 / self.disturbance_h
        noise = _noise_of_step(a, spread, step_h)
        h = np.zeros((1, n))
        h[0, 0] = 1.0
        phi = both[:n, :n]
        known = solve_discrete_are(phi.T, h.T, noise, np.ones((1, 1)))
        gain = (phi @ known @ h.T / (h @ known @ h.T + 1.0))[:, 0]
        variance = float(known[0, 0]) + 1.0
        return Observer(phi=phi, inputs=both[:n, n:], gain=gain, variance=variance)


def _noise_of_step(a: FloatArray, spread: FloatArray, step_h: float) -> FloatArray:
    """Covariance that white noise adds in a step (Van Loan 1978, IEEE Trans. Automatic Control 23)."""
    n = len(a)
    both = expm(np.block([[-a, spread], [np.zeros((n, n)), a.T]]) * step_h)
    noise = both[n:, n:].T @ both[:n, n:]
    return np.asarray(0.5 * (noise + noise.T) + 1e-12 * np.eye(n))


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """``x[t+1] = phi x[t] + inputs u[t] + gain (y[t] - x[t][0])``, the first state being the room.

    Parameters
    ----------
    variance : float
        Of the one-step error, over that of the sensor's noise. [-]
    """

    phi: FloatArray
    inputs: FloatArray
    gain: FloatArray
    variance: float

    def answers(self, columns: FloatArray, into: FloatArray) -> FloatArray:
        """Predicted temperature that input columns cause, shape as the columns; all states begin at zero.

        Parameters
        ----------
        columns : ndarray, shape (n_columns, n_steps)
            Inputs, one a row.
        into : ndarray, shape (n_states,)
            How an input moves the states in a step.
        """
        closed = self.phi.copy()
        closed[:, 0] -= self.gain
        values, vectors = np.linalg.eig(closed + np.diag(np.arange(len(closed)) * NOT_DEFECTIVE))
        shares = np.linalg.solve(vectors, into.astype(complex)) * vectors[0, :]
        total = np.zeros(columns.shape)
        for value, share in zip(values, shares, strict=True):
            if value.imag == 0.0:
                total += share.real * lfilter([0.0, 1.0], [1.0, -value.real], columns)
            elif value.imag > 0.0:  # a pair of conjugates adds up to twice the real part
                total += 2.0 * (share * lfilter([0.0, 1.0], [1.0, -value], columns)).real
        return total

    def states(self, room_c: FloatArray, inputs: FloatArray, start: FloatArray) -> FloatArray:
        """Predicted states before each reading, shape (n_steps, n_states).

        Parameters
        ----------
        room_c : ndarray, shape (n_steps,)
            Readings; NaN where there is none, then the prediction goes on. [degC]
        inputs : ndarray, shape (n_steps, 3)
            ``T_out``, heat in the air, heat in the mass. [degC], [K], [K]
        start : ndarray, shape (n_states,)
            States before the first reading.
        """
        x, out = start.copy(), np.empty((len(room_c), len(start)))
        moved = inputs @ self.inputs.T
        for t, reading in enumerate(room_c):
            out[t] = x
            miss = reading - x[0]
            x = self.phi @ x + moved[t]
            if not math.isnan(miss):
                x = x + self.gain * miss
        return out
