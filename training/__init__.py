"""From outcomes to estimates: quality and cost per tier, stacking, calibration, certification."""
