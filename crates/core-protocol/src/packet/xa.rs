//! XA transactions: every verb is answered by `SESS_XA_RESP` unless noted.

use crate::DecodeError;
use crate::wire::codecs::{Bool, Int, List, Optional, Str, TrailingLong};
use crate::wire::{Codec, Reader, Sink, length, wire_struct};

/// The XA specification's limit for each part of an [`Xid`].
pub const XID_PART_MAX_BYTES: usize = 64;

/// Format and two lengths.
const XID_MIN_BYTES: usize = 12;

/// The identity of a transaction branch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xid {
    /// The format of the two parts.
    pub format_id: i32,
    /// The branch within the transaction; at most [`XID_PART_MAX_BYTES`].
    pub branch_qualifier: Vec<u8>,
    /// The transaction; at most [`XID_PART_MAX_BYTES`].
    pub global_transaction_id: Vec<u8>,
}

/// `xid`: the branch qualifier comes first.
pub(crate) struct XidCodec;

impl Codec<Xid> for XidCodec {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Xid, DecodeError> {
        Ok(Xid {
            format_id: reader.i32(field)?,
            branch_qualifier: read_part(reader, field)?,
            global_transaction_id: read_part(reader, field)?,
        })
    }

    fn write<S: Sink>(value: &Xid, out: &mut S) {
        out.put_i32(value.format_id);
        for part in [&value.branch_qualifier, &value.global_transaction_id] {
            out.put_i32(length(part.len()));
            out.put(part);
        }
    }
}

fn read_part(reader: &mut Reader<'_>, field: &'static str) -> Result<Vec<u8>, DecodeError> {
    let bytes = reader.length(field)?;
    if bytes > XID_PART_MAX_BYTES {
        return Err(DecodeError::InvalidLength {
            field,
            length: i64::from(length(bytes)),
        });
    }
    reader.take(bytes, field).map(<[u8]>::to_vec)
}

macro_rules! xid_packets {
    ($($(#[$meta:meta])* $name:ident;)+) => {
        wire_struct! {$(
            $(#[$meta])*
            pub struct $name {
                /// The branch.
                pub xid: Xid as XidCodec,
            }
        )+}
    };
}

xid_packets! {
    /// `SESS_XA_START`.
    SessXaStart;
    /// `SESS_XA_PREPARE`.
    SessXaPrepare;
    /// `SESS_XA_ROLLBACK`.
    SessXaRollback;
    /// `SESS_XA_JOIN`.
    SessXaJoin;
    /// `SESS_XA_RESUME`.
    SessXaResume;
    /// `SESS_XA_FORGET`.
    SessXaForget;
    /// `SESS_XA_FAILED`: after a failover, the branch must be rolled back. Not answered.
    SessXaFailed;
}

wire_struct! {
    /// `SESS_XA_END`.
    pub struct SessXaEnd {
        /// The branch.
        pub xid: Xid as XidCodec,
        /// Whether the work failed.
        pub failed: bool as Bool,
    }

    /// `SESS_XA_COMMIT`.
    pub struct SessXaCommit {
        /// The branch.
        pub xid: Xid as XidCodec,
        /// Whether it was not prepared.
        pub one_phase: bool as Bool,
    }

    /// `SESS_XA_RESP`.
    pub struct SessXaResponse {
        /// Whether the verb failed.
        pub error: bool as Bool,
        /// 0, or the code of an `XAException`.
        pub code: i32 as Int,
        /// Why.
        pub message: Option<String> as Optional<Str>,
        /// Absent or -1.
        pub correlation: Option<i64> as TrailingLong,
    }

    /// `SESS_XA_INDOUBT_XIDS_RESP`.
    pub struct SessXaInDoubtXidsResponse {
        /// The prepared branches.
        pub xids: Vec<Xid> as List<XidCodec, XID_MIN_BYTES>,
    }

    /// `SESS_XA_SET_TIMEOUT`: answered by `SESS_XA_SET_TIMEOUT_RESP`.
    pub struct SessXaSetTimeout {
        /// Seconds.
        pub timeout_s: i32 as Int,
    }

    /// `SESS_XA_SET_TIMEOUT_RESP`.
    pub struct SessXaSetTimeoutResponse {
        /// Whether it was set.
        pub ok: bool as Bool,
    }

    /// `SESS_XA_GET_TIMEOUT_RESP`.
    pub struct SessXaGetTimeoutResponse {
        /// Seconds.
        pub timeout_s: i32 as Int,
    }
}
