//! Open file description locks: the only kind that ends with its holder and with nothing else.
//!
//! `flock` is another kind of lock that does not exclude the others, and the classic `fcntl` lock is lost when the
//! process closes any other descriptor of the file.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// Takes the exclusive lock of the whole file if nobody has it. It lasts until the last duplicate of this
/// descriptor is closed; Rust opens files so that no child process inherits them.
pub fn try_exclusive(file: &File) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&whole_file())) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether somebody else has it. Does not take it.
pub fn is_held(file: &File) -> io::Result<bool> {
    let mut lock = whole_file();
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

/// An exclusive lock from the first byte to any later one.
fn whole_file() -> libc::flock {
    libc::flock {
        l_type: short(libc::F_WRLCK),
        l_whence: short(libc::SEEK_SET),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// A constant as the structure wants it.
#[expect(clippy::cast_possible_truncation, reason = "the constants are 0 and 1")]
const fn short(constant: libc::c_int) -> libc::c_short {
    constant as libc::c_short
}
