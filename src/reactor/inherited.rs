//! Sockets that somebody else has made: known by a number.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use socket2::Socket;

/// A second descriptor for the socket behind `fd`, which stays open and its owner's.
///
/// # Errors
///
/// What the system says; `EBADF` where nothing has this number. Whether it is a socket, its first use tells.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<Socket> {
    if fd < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: not -1. The borrow ends with the next line, whose only call upon the number is a `fcntl` that fails if no
    // file has it; nothing is read, written or closed.
    #[allow(unsafe_code)]
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    borrowed.try_clone_to_owned().map(Socket::from)
}
