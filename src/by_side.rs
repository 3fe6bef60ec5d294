//! One value for each of the two sides of a pair.

use std::ops::{Index, IndexMut};

use pair::Side;

/// The two sides, in the order in which they are shown.
pub(crate) const SIDES: [Side; 2] = [Side::Primary, Side::Backup];

/// One value for each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BySide<T> {
    /// The primary's.
    pub(crate) primary: T,
    /// The backup's.
    pub(crate) backup: T,
}

impl<T> BySide<T> {
    /// Makes each side's value.
    pub(crate) fn from_fn(mut make: impl FnMut(Side) -> T) -> Self {
        Self {
            primary: make(Side::Primary),
            backup: make(Side::Backup),
        }
    }
}

impl<T> Index<Side> for BySide<T> {
    type Output = T;

    fn index(&self, side: Side) -> &T {
        match side {
            Side::Primary => &self.primary,
            Side::Backup => &self.backup,
        }
    }
}

impl<T> IndexMut<Side> for BySide<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Primary => &mut self.primary,
            Side::Backup => &mut self.backup,
        }
    }
}
