//! Local transactions.

use crate::wire::codecs::{Bool, TrailingLong};
use crate::wire::wire_struct;

wire_struct! {
    /// `SESS_COMMIT`: always answered.
    pub struct SessCommit {
        /// To be repeated in the answer; absent when the client does not wait, and the answer carries -1.
        pub correlation: Option<i64> as TrailingLong,
    }

    /// `SESS_ROLLBACK`.
    pub struct SessRollback {
        /// Whether the first unacknowledged message of each consumer counts as delivered.
        pub consider_last_message_as_delivered: bool as Bool,
    }
}
