//! Luck on a seed, or none at all.

/// A source of luck: the same seed gives the same world.
#[derive(Clone, Debug)]
pub(crate) struct Chance {
    /// Nothing: everything takes one millisecond and nothing goes wrong.
    state: Option<u64>,
}

impl Chance {
    pub(crate) const fn none() -> Self {
        Self { state: None }
    }

    pub(crate) const fn seeded(seed: u64) -> Self {
        Self { state: Some(seed) }
    }

    /// A number below the limit (splitmix64); zero without luck.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        let Some(state) = &mut self.state else {
            return 0;
        };
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = *state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % limit
    }

    /// Whether something happens that happens so often in a hundred.
    pub(crate) fn percent(&mut self, often: u64) -> bool {
        self.state.is_some() && self.below(100) < often
    }

    /// How long something takes: mostly little, at times long.
    pub(crate) fn latency_ms(&mut self) -> u64 {
        if self.state.is_none() {
            return 1;
        }
        match self.below(100) {
            0..90 => self.below(4),
            90..99 => self.below(60),
            _ => self.below(3_000),
        }
    }
}
