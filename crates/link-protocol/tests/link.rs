//! Two ends of a link, without a network between them: what they say, what they refuse, and what
//! somebody between them can do.

#[path = "link/data.rs"]
mod data;
#[path = "link/garbage.rs"]
mod garbage;
#[path = "link/golden.rs"]
mod golden;
#[path = "link/handshake.rs"]
mod handshake;
#[path = "link/support.rs"]
mod support;
#[path = "link/up.rs"]
mod up;
