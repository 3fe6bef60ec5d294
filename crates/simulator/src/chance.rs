//! Luck on a seed, or none at all.

/// A source of luck: the same seed gives the same world.
#[derive(Clone, Debug)]
pub(crate) struct Chance {
    /// Nothing: everything takes one millisecond and nothing goes wrong.
    state: Option<u64>,
    /// The longest that something slow takes.
    slow_ms: u64,
}

impl Chance {
    pub(crate) const fn none() -> Self {
        Self {
            state: None,
            slow_ms: 1,
        }
    }

    pub(crate) const fn seeded(seed: u64, slow_ms: u64) -> Self {
        Self {
            state: Some(seed),
            slow_ms,
        }
    }

    /// Whether there is any.
    pub(crate) const fn is_some(&self) -> bool {
        self.state.is_some()
    }

    /// From here on nothing is slow.
    pub(crate) const fn hurry(&mut self) {
        self.slow_ms = 60;
    }

    /// A number below the limit, which is not 0 (splitmix64); zero without luck.
    pub(crate) const fn below(&mut self, limit: u64) -> u64 {
        let Some(state) = self.state else {
            return 0;
        };
        let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state = Some(state);
        let mut bits = state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % limit
    }

    /// Whether something happens that happens so often in a hundred.
    pub(crate) const fn percent(&mut self, often: u64) -> bool {
        self.state.is_some() && self.below(100) < often
    }

    /// Whether something happens that happens once in so many times; 0 is never.
    pub(crate) const fn one_in(&mut self, times: u64) -> bool {
        times > 0 && self.state.is_some() && self.below(times) == 0
    }

    /// How long something takes: mostly little, at times long.
    pub(crate) const fn latency_ms(&mut self) -> u64 {
        if self.state.is_none() {
            return 1;
        }
        match self.below(100) {
            0..90 => self.below(4),
            90..99 => self.below(60),
            _ => self.below(self.slow_ms),
        }
    }
}
