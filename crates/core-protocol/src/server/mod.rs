//! The server side of a connection, without sockets and clocks.
