// Sets of tiers: a number, one bit a tier, the cheapest lowest. A policy has at most 16.

/** The cheapest, and the dearest, of some tiers; -1 where there are none. */
export const lowest = (tiers) => highest(tiers & -tiers);
export const highest = (tiers) => 31 - Math.clz32(tiers);

export const has = (tiers, tier) => tier >= 0 && ((tiers >> tier) & 1) === 1;

/** The nearest of some tiers that is no cheaper, else the dearest of them. */
export function nearest(tier, tiers) {
  const dearer = tiers >> tier;
  return dearer ? tier + lowest(dearer) : highest(tiers);
}
