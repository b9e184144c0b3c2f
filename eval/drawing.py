"""Small SVG drawings for the report: a curve with points, a reliability diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from tierwise.eval.metrics import Floats, hull

WIDTH, HEIGHT = 720.0, 380.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 16.0, 14.0, 40.0


@dataclass(frozen=True)
class Frame:
    """Where values lie on the drawing: data ranges and the size in pixels."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = WIDTH
    height: float = HEIGHT

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a value, kept inside the frame."""
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1.0)
        up = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1.0)
        across, up = min(max(across, 0.0), 1.0), min(max(up, 0.0), 1.0)
        return (
            LEFT + across * (self.width - LEFT - RIGHT),
            self.height - BOTTOM - up * (self.height - TOP - BOTTOM),
        )

    def axes(self, x_label: str, y_label: str, steps: int = 4) -> str:
        """Return grid lines with numbers, and both labels."""
        parts = []
        for index in range(steps + 1):
            share = index / steps
            x = self.x[0] + share * (self.x[1] - self.x[0])
            y = self.y[0] + share * (self.y[1] - self.y[0])
            px, py = self.at(x, y)
            parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{self.width - RIGHT}" y1="{py:.1f}" '
                f'y2="{py:.1f}"/><text x="{LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{y:.3g}'
                f'</text><text x="{px:.1f}" y="{self.height - BOTTOM + 16}" '
                f'text-anchor="middle">{x:.3g}</text>'
            )
        parts.append(
            f'<text x="{self.width / 2}" y="{self.height - 6}" text-anchor="middle">'
            f'{escape(x_label)}</text><text x="{LEFT}" y="{TOP - 3}">{escape(y_label)}</text>'
        )
        return "".join(parts)

    def line(self, xs: Sequence[float], ys: Sequence[float], kind: str) -> str:
        """Return a line through points."""
        places = " ".join(
            "{:.1f},{:.1f}".format(*self.at(x, y)) for x, y in zip(xs, ys, strict=True)
        )
        return f'<polyline class="{kind}" points="{places}"/>'

    def dot(self, x: float, y: float, kind: str, title: str, radius: float) -> str:
        """Return a point that tells its name when pointed at."""
        px, py = self.at(x, y)
        return (
            f'<circle class="{kind}" cx="{px:.1f}" cy="{py:.1f}" r="{radius}">'
            f"<title>{escape(title)}</title></circle>"
        )

    def svg(self, label: str, *parts: str) -> str:
        """Return the drawing with a label for those who do not see it."""
        return (
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
        )


def together(places: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Return points of (nearly) equal place as one, with their names behind each other."""
    found: dict[tuple[str, str], tuple[list[str], tuple[float, float]]] = {}
    for name, (x, y) in places.items():
        found.setdefault((f"{x:.2g}", f"{y:.2g}"), ([], (x, y)))[0].append(name)
    return {", ".join(names): place for names, place in found.values()}


def cost_quality(
    points: Mapping[str, tuple[Floats, Floats]],
    tiers: Mapping[str, tuple[float, float]],
    served: tuple[float, float],
    kinds: Mapping[str, str],
) -> str:
    """Return hulls of swept policies, fixed tiers as dots and the served point.

    Parameters
    ----------
    points : mapping of str to pair of ndarray
        Mean cost (USD a step) and mean quality.
    tiers : mapping of str to pair of float
        Cost and quality of policies that are one point.
    served : tuple of float
        The policy that ships.
    kinds : mapping of str to str
        Class of the line of each drawn policy.
    """
    lines = {name: hull(*points[name]) for name in kinds if name in points}
    costs = [served[0], *(x for x, _ in tiers.values()), *(x for c, _ in lines.values() for x in c)]
    goods = [served[1], *(y for _, y in tiers.values()), *(y for _, q in lines.values() for y in q)]
    room = 0.05 * ((max(goods) - min(goods)) or 1.0)
    frame = Frame((0.0, 1.04 * max(costs) or 1.0), (min(goods) - room, max(goods) + room))
    parts = [frame.axes("mean cost, USD a step", "mean quality")]
    for name, (x, y) in lines.items():
        parts.append(frame.line(x.tolist(), y.tolist(), kinds[name]))
    for name, (cost, quality) in together(tiers).items():
        parts.append(frame.dot(cost, quality, "tier", f"{name}: {cost:.3g} USD, {quality:.3f}", 4))
        px, py = frame.at(cost, quality)
        anchor = "end" if px > frame.width / 2 else "start"
        shift = -7 if anchor == "end" else 7
        parts.append(
            f'<text x="{px + shift:.1f}" y="{py + 14:.1f}" text-anchor="{anchor}">'
            f"{escape(name)}</text>"
        )
    parts.append(frame.dot(*served, "spot", f"served: {served[0]:.3g} USD, {served[1]:.3f}", 7))
    return frame.svg("Mean quality against mean cost of the router and its controls", *parts)


def bars(mix: Mapping[str, float]) -> str:
    """Return a bar of shares; tiers run from pale (cheap) to full color (dear)."""
    top = max(len(mix) - 1, 1)
    return (
        '<div class="mix">'
        + "".join(
            f'<i style="width:{100 * share:.2f}%;opacity:{0.25 + 0.75 * index / top:.2f}" '
            f'title="{escape(tier)} {share:.1%}"></i>'
            for index, (tier, share) in enumerate(mix.items())
            if share > 0
        )
        + "</div>"
    )


def estimate_against_outcome(tier: str, estimate: float, outcome: float, error: float) -> str:
    """Return two bars, expected and true mean quality of a tier, and its calibration error."""
    rows = "".join(
        f'<text x="8" y="{y}">{word} {value:.3f}</text><rect class="bar" x="110" y="{y - 10}" '
        f'width="{max(0.0, min(1.0, value)) * 120:.1f}" height="11" opacity="{shade}"/>'
        for y, word, value, shade in ((44, "expected", estimate, 1), (62, "true", outcome, 0.5))
    )
    return (
        f'<svg viewBox="0 0 240 92" role="img" aria-label="Calibration of {escape(tier)}">'
        f'<text x="8" y="20">{escape(tier)}</text>{rows}'
        f'<text x="8" y="82">mean error over bins {error:.3f}</text></svg>'
    )
