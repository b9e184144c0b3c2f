//! Sets of tiers: one bit a tier, the cheapest lowest. A policy has at most 16.

pub type Set = u32;

pub fn has(set: Set, tier: usize) -> bool {
    set >> tier & 1 == 1
}

pub fn cheapest(set: Set) -> Option<usize> {
    (set != 0).then(|| set.trailing_zeros() as usize)
}

pub fn dearest(set: Set) -> Option<usize> {
    (set != 0).then(|| 31 - set.leading_zeros() as usize)
}

/// The nearest of some tiers that is no cheaper, else the dearest of them.
pub fn nearest(tier: usize, set: Set) -> Option<usize> {
    cheapest(set >> tier << tier).or(dearest(set))
}
